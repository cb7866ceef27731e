"""What the cloud's parts raise, so that a command has one thing to catch.

    CloudError
    ├── BrokerError             no broker found, its port taken, or it died
    ├── RepositoryError         a release or a folder that is not as it should be
    │   ├── BlobNotFoundError   no such blob or cloud model
    │   └── OffsetError         an offset beyond the blob's end
    ├── CacheError              a folder that trained bundles cannot be kept in
    ├── SealError               a file whose content is not what was written to it
    ├── UnfitBundleError        a bundle that would not serve or not run
    ├── TaskError               a task that is not to be found, or not what it says
    │   └── DataMissingError    no data in any of the places where it may be
    ├── ProbesError             a folder of probes that cannot be written or read
    ├── TableError              a table of latencies that cannot be read, or of other networks
    ├── LatencyModelError       a latency model that cannot be fitted, or of another family
    ├── RecipeError             a recipe that teaches nothing
    ├── NestingError            a way of nesting that cannot be gone
    ├── TrainingError           a network that cannot learn from what it was given
    ├── DistillationError       a way of distilling that teaches nothing
    │   └── TeacherFeatureError a teacher without the feature to resemble
    ├── QuantizationError       a way of rounding that there is not
    ├── AdaptationError         inputs or frames from which no student can be adapted
    ├── ExportError             a folder that a bundle may not be written to
    ├── ModelError              an ONNX file that cannot be served
    ├── TensorError             an inference request that does not fit the model
    ├── StoreError              a receipt store that cannot be opened
    ├── ReceiptError            telemetry that makes no sense
    ├── TargetError               a target that no device can fulfil
    ├── ConsoleError            a console that cannot listen where it should
    ├── PasswordError           a password that may not be set, or cannot be read
    ├── TokenError              a token that cannot be added, removed or read
    ├── RequestError            an API request that cannot be answered
    ├── FederatedError          rounds that cannot be run as asked
    ├── FlowerError             a Flower program that is missing or failed
    ├── CheckpointError         a checkpoint that no round can start from
    ├── RoundsError             a table of rounds that cannot be opened
    ├── UpdateError             a client's answer that is left out
    ├── NotReleasedError        rounds whose result is not released
    ├── ListenerError           a port that cannot be listened on
    ├── ExposureError           a listener that others could reach, and could not trust
    ├── CertificateError        a key, a name or a request that no certificate is made of
    ├── AuthorityError          a certificate authority that cannot be read
    ├── RosterError             a roster of devices that cannot be used, or a name it has not
    ├── EnrolmentTokenError     an enrolment token that is unknown, used or expired
    ├── TokenFileError          a token's file that cannot be written
    └── UnknownAddressError     nobody said where devices enrol

Each class lives beside the noun that it belongs to.
"""


class CloudError(Exception):
    """Base of every error that the cloud raises on purpose; its text says what to do next."""
