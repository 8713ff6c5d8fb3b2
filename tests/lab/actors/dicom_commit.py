"""Scanner: asks the PACS for storage commitment and waits for the PACS to open its own association
back with the answer (DICOM PS3.4, Storage Commitment Push). Stack: PyPI `pynetdicom`.

Arguments: PACS address, then the SOP instance UIDs of CT images.
"""

import queue
import sys

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from wardlib import fail, report

pacs, *instances = sys.argv[1:]
answers = queue.Queue()


def on_report(event):
    information = event.event_information
    peer = event.assoc.requestor.address
    answers.put((event.event_type, information.TransactionUID,
                 len(information.get("ReferencedSOPSequence", [])), peer))
    return 0x0000, None


ae = AE(ae_title="CT1")
ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
ae.add_requested_context(StorageCommitmentPushModel)
listener = ae.start_server(("", 104), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])

request = Dataset()
request.TransactionUID = generate_uid()
request.ReferencedSOPSequence = []
for instance in instances:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, instance
    request.ReferencedSOPSequence.append(item)

association = ae.associate(pacs, 104, ae_title="PACS")
if not association.is_established:
    fail("the PACS did not accept the association")
status, _ = association.send_n_action(
    request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
association.release()
if not status or status.Status != 0:
    fail(f"the PACS refused the commitment request: {status}")
try:
    event_type, transaction, committed, peer = answers.get(timeout=8)
except queue.Empty:
    fail("the PACS did not call back")
listener.shutdown()
if transaction != request.TransactionUID or event_type != 1:
    fail(f"the PACS reported event {event_type} for transaction {transaction}")
report(transaction=transaction, committed=committed, called_back_by=peer)
