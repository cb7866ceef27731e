"""Defines the base class of the cloud's errors, so that a command has only one type to catch.

    CloudError
    ├── BrokerError             the broker was not found, its port is taken, or it died
    ├── RepositoryError         the repository or one of its releases is missing or damaged
    │   ├── BlobNotFoundError   the repository has no such blob or cloud model
    │   └── OffsetError         the offset is beyond the end of the blob
    ├── CacheError              the folder for cached bundles cannot be used
    ├── SealError               a file's content does not match its SHA-256
    ├── UnfitBundleError        the bundle cannot be served or cannot run on a device
    ├── TaskError               the task was not found, or its data or functions are invalid
    │   └── DataMissingError    the task's data files were not found and not downloaded
    ├── ProbesError             a folder of probes cannot be written or read
    ├── TableError              a latency table cannot be read, or is of other networks
    ├── LatencyModelError       a latency model cannot be fitted, or is of another family
    ├── LatencyMissingError     a search by latency was started without measured latencies
    ├── RecipeError             a recipe has an invalid value
    ├── NestingError            a nesting option has an invalid value
    ├── TrainingError           a network cannot learn from its training set
    │   ├── OrderError          channels cannot be put in order of importance
    │   └── RankingError        filters cannot be ranked
    ├── TeacherError            the task's teacher cannot be built, trained or exported
    ├── DistillationError       a distillation option is invalid or does not suit the teacher
    │   └── TeacherFeatureError the teacher lacks the feature to imitate
    ├── QuantizationError       a quantization option has an invalid value
    ├── AdaptationError         the student cannot be adapted with these inputs or frames
    ├── ExportError             a bundle cannot be written to the folder
    ├── ModelError              an ONNX file cannot be served
    ├── TensorError             an inference request does not fit the model
    ├── StoreError              the receipt store cannot be opened
    ├── SchemaError             the store's tables are not of this version
    ├── ReceiptError            a telemetry message is invalid
    ├── TargetError             no device can meet the target
    ├── ConsoleError            the console cannot listen on its address
    ├── PasswordError           the console's password cannot be set or read
    ├── TokenError              an API token cannot be added, removed or read
    ├── RequestError            an API request cannot be answered
    ├── FederatedError          federated rounds cannot be run with these options
    ├── FlowerError             a Flower program is missing or failed
    ├── CheckpointError         no round can start from the checkpoint
    ├── RoundsError             the table of rounds cannot be opened
    ├── UpdateError             a client's update is rejected
    ├── NotReleasedError        the result of the rounds is not released
    ├── ListenerError           a port cannot be listened on
    ├── ExposureError           a listener would be reachable by others without TLS
    ├── CertificateError        no certificate can be issued for a key, name or request
    ├── AuthorityError          the certificate authority cannot be read
    ├── RosterError             the device roster cannot be used or has no such device
    ├── EnrolmentTokenError     an enrolment token is unknown, used or expired
    ├── TokenFileError          the file for an enrolment token cannot be written
    └── UnknownAddressError     the address where devices enrol is not known

Each class is defined in the module that raises it.
"""


class CloudError(Exception):
    """Base class of the errors that the cloud raises on purpose.

    The text of such an error is for the user, and usually says what to do next.
    """
