"""STIX and MISP documents of others through our importer: `python -m tests.stix FOLDER`.

FOLDER holds collections that belong to others and are not in this repository, gzipped, one JSON object a line:
stix21_validator_cases (`test`, `input`, `valid`, `errors`, `options`), stix21_bundles and misp_json (`raw`). Printed
are where we agree with the verdicts, by object type, asked with the switches of each case and as we ask where nothing
is set; then what a round trip keeps. Some cases were judged by schemas of the tester's own (`--schemas`: the folder of
them, test/v21/test_schemas in the validator's source). Exit 1 where a verdict differs, what is only recommended is
taken without a remark, something is not kept, or fails in another way than by a refusal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.hostile.corpus import rows
from tests.stix import round_trip
from tests.stix.verdicts import table, verdict_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stix", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--schemas", default=None)
    given = parser.parse_args()
    folder = given.folder
    cases = list(rows(folder / "stix21_validator_cases.jsonl.gz", 10**9))
    verdicts = [verdict_of(case, schemas=given.schemas) for case in cases]
    print("\n".join(table(verdicts)))
    faults = [f"{each.type} {each.name}: {each.fault}" for each in verdicts if each.fault]
    for name, there_and_back in (("stix21_bundles", round_trip.of_stix), ("misp_json", round_trip.of_misp)):
        outcomes = [there_and_back(row["raw"].encode("utf-8", "surrogatepass"))
                    for row in rows(folder / f"{name}.jsonl.gz", 10**9)]  # fmt: skip
        read = [each for each in outcomes if each is not None]
        print(f"{name}: {len(outcomes)} documents, {len(read)} read, {len(outcomes) - len(read)} refused, "
              f"{sum(not each for each in read)} came back whole")  # fmt: skip
        faults += [f"{name}: {lost}" for each in read for lost in each]
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
