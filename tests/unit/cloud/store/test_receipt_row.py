import dataclasses

from nestling_cloud.store import tables
from nestling_cloud.store.receipt_row import ReceiptRow


def test_table_columns_match_the_fields_of_the_row() -> None:
    fields = [field.name for field in dataclasses.fields(ReceiptRow)]

    assert ["id", *fields] == tables.RECEIPTS.columns.keys()
