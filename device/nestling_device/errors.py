"""What can go wrong on a device.

Every class but the root lives beside the noun it belongs to::

    DeviceError
    ├── StorageError                database.py
    ├── ChannelClosedError          channel.py
    ├── BrokerUnreachableError      mqtt.py
    │   └── BrokerConnectError      mqtt.py
    ├── DeliveryError               delivery/source.py
    │   ├── SourceUnreachableError  delivery/source.py
    │   ├── AdmissionError          delivery/admission.py
    │   ├── CalibrationError        calibration.py
    │   └── SelfTestError           delivery/installer.py
    ├── InputError                  agent.py
    │   └── UnanswerableError       agent.py
    ├── IdentityError               identity.py
    ├── EnrolmentError              enrolment.py
    ├── ProfileError                energy/profile.py
    ├── ModelsError                 models.py
    ├── SourceError                 sources/source.py
    ├── ConfigError                 config.py
    ├── BusError                    i2c.py
    ├── InstrumentError             energy/instruments/instrument.py
    ├── FederatedError              commands/federated.py
    ├── ExamplesError               labelled_examples.py
    ├── LocalTrainingError          federated/training.py
    ├── ClientError                 participant.py
    ├── ThreadEndedError            thread_watch.py
    └── OffloadError                offload.py
        ├── DeadlineMissedError
        ├── UnreachableError
        └── BadAnswerError
"""


class DeviceError(Exception):
    """Root of everything that a device raises on purpose."""
