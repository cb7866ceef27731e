"""Defines the base class of the errors that the cloud raises on purpose, and lists all of them.

    CloudError
    ├── BrokerError             no broker is installed, its port is taken, or it ended unexpectedly
    ├── RepositoryError         a release is refused, or a file of the repository cannot be used
    │   ├── BlobNotFoundError   the repository has no such blob, cloud model or checkpoint
    │   └── OffsetError         the offset is negative or beyond the end of the blob
    ├── CacheError              the folder for cached bundles cannot be used
    ├── SealError               a file's content does not match its seal, or the seal is missing
    ├── UnfitBundleError        the bundle cannot be served or cannot run on a device
    ├── DatasetError            a folder or a table of labels cannot be used as data
    ├── TaskError               the task was not found, or its data or functions are invalid
    │   └── DataMissingError    the task's data files were not found or cannot be read
    ├── StoredInputsError       a file of inputs cannot be written, or is damaged
    ├── ProbesError             a folder of probes cannot be written or read
    ├── TableError              a latency table cannot be read, or does not match the probes
    ├── LatencyModelError       a latency model cannot be fitted, or was fitted to another family
    ├── LatencyMissingError     a search by latency was started without measured latencies
    ├── RecipeError             a recipe has an invalid value
    ├── NestingError            a nesting option has an invalid value
    ├── TrainingError           a network cannot learn from its training set
    │   ├── OrderError          channels cannot be put in order of importance
    │   └── RankingError        filters cannot be ranked
    ├── TeacherError            the task's teacher cannot be built, trained or exported
    ├── OnnxTeacherError        an ONNX file or an exported program cannot be the task's teacher
    ├── DistillationError       a distillation option is invalid or does not suit the teacher
    │   └── TeacherFeatureError the teacher lacks the feature to imitate
    ├── ViewsError              the disk has no room for augmented copies of the training data
    ├── QuantizationError       a quantization option is invalid, or excludes another option
    ├── AdaptationError         the student cannot be adapted with these inputs or frames
    ├── ExportError             a bundle cannot be exported, or the exported files are wrong
    ├── ModelError              an ONNX model cannot be loaded or run, or its answers are wrong
    ├── TensorError             an inference request does not fit the model
    ├── OverloadedError         a request for a model would be answered too late
    ├── StoreError              the receipt store cannot be opened
    ├── SchemaError             the store's tables are damaged or have an unsupported version
    ├── ReceiptError            a receipt or a batch of receipts is invalid
    ├── LabelError              the label of an input is not one that the task has
    ├── InputExportError        stored inputs cannot be exported
    ├── InputFolderError        a folder of inputs cannot be read, or does not fit the task
    ├── InputsError             no such input is stored, or no inputs to delete are named
    ├── DeletionError           data cannot be deleted, or no data to delete is named
    ├── ConfirmationError       nobody confirmed that something is to be deleted
    ├── TargetError             the target's share, device id or author is invalid
    ├── ConsoleError            the console cannot listen, or ended unexpectedly
    ├── PasswordError           the console's password cannot be set or read
    ├── TokenError              an API token cannot be added, removed or read
    ├── RequestError            an API request cannot be answered
    ├── FederatedError          federated rounds cannot be run, or release no bundle
    ├── FlowerError             a Flower program is missing, fails, or does not end in time
    ├── CheckpointError         the checkpoint does not fit the task
    ├── RoundsError             the table of rounds cannot be opened
    ├── UpdateError             a client's update is rejected
    ├── NotReleasedError        the result of the rounds is not released
    ├── ListenerError           a port cannot be listened on
    ├── ExposureError           a listener for other machines has no name for its certificate
    ├── CertificateError        no certificate can be issued for a key, name or request
    ├── AuthorityError          the certificate authority cannot be used, or is not valid now
    ├── RosterError             the roster cannot be used, or a device is unknown or not allowed
    ├── EnrolmentTokenError     an enrolment token is unknown, used or expired
    ├── TokenFileError          the file for an enrolment token cannot be written
    └── UnknownAddressError     the address where devices enrol is not known

Most classes are defined in the module that raises them. Those of the repository are defined in
`bundles/repository_errors.py`, and DatasetError is defined in `datasets/errors.py`.
"""


class CloudError(Exception):
    """Base class of the errors that the cloud raises on purpose.

    The text of such an error is for the user, and usually says what to do next.
    """
