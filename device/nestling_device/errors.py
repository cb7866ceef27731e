"""Defines the base class of the device's errors.

The tree shows the other error classes and the modules that define them::

    DeviceError
    ├── StorageError                storage/database.py
    ├── ChannelClosedError          transport/grpc_channel.py
    ├── BrokerUnreachableError      transport/mqtt_connection.py
    │   └── BrokerConnectError      transport/mqtt_connection.py
    ├── DeliveryError               delivery/bundle_source.py
    │   ├── SourceUnreachableError  delivery/bundle_source.py
    │   ├── AdmissionError          delivery/release_rules.py
    │   │   └── UnknownFormatError  delivery/release_rules.py
    │   ├── CalibrationError        bundle/calibration.py
    │   └── SelfTestError           delivery/installer.py
    ├── InputError                  inference/input_errors.py
    │   └── UnanswerableError       inference/input_errors.py
    ├── IdentityError               transport/identity.py
    ├── EnrolmentError              enrolment/enrol.py
    ├── ProfileError                energy/power_tables.py
    ├── ModelsError                 profiling/onnx_folder.py
    ├── SourceError                 sources/source.py
    ├── ConfigError                 config/schema.py
    ├── BusError                    hardware/i2c.py
    ├── InstrumentError             energy/instruments/instrument.py
    ├── FailedCheckError            doctor/finding.py
    ├── FederatedError              commands/federated.py
    ├── ExamplesError               federated/examples.py
    ├── LocalTrainingError          federated/training.py
    ├── ClientError                 federated/participant.py
    ├── ThreadEndedError            runtime/thread_watch.py
    └── OffloadError                inference/offloader.py
        ├── DeadlineMissedError     inference/offloader.py
        ├── UnreachableError        inference/offloader.py
        ├── OverloadedError         inference/offloader.py
        └── BadAnswerError          inference/offloader.py
            └── ModelGoneError      inference/offloader.py
"""


class DeviceError(Exception):
    """The base class of all errors that the device raises deliberately.

    Attributes:
        problem: what is wrong.
        advice: what to do about the problem, or "".

    Args:
        problem: what is wrong.
        advice: what to do about the problem.
    """

    def __init__(self, problem: str, *, advice: str = "") -> None:
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self.problem = problem
        self.advice = advice
