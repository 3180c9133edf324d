"""The stores' contract suite, which runs on moto elsewhere, on the emulator: the table is the template's there too."""

import re


def test_the_dynamodb_store_keeps_its_contract_on_the_emulator(contract_suite):
    code, said = contract_suite()
    assert code == 0, said[-4000:]
    (passed,) = re.findall(r"(\d+) passed", said)
    assert int(passed) > 100
