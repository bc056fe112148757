# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""That each guard which a mutant takes out is still where it is looked for."""

import os
import unittest

from driver import REPOSITORY
from mutants import CARDS, MUTANTS
from schedule import names


class Tests(unittest.TestCase):
    def test_every_mutant_fits(self):
        for name, edits in MUTANTS.items():
            for path, before, after in edits:
                with open(os.path.join(REPOSITORY, path)) as file:
                    self.assertEqual(file.read().count(before), 1, (name, before))
                self.assertNotEqual(before, after)

    def test_what_mutants_get_are_cards(self):
        self.assertEqual(MUTANTS.keys(), CARDS.keys())
        for cards in CARDS.values():
            self.assertLessEqual(set(cards or ()), set(names()))


if __name__ == "__main__":
    unittest.main()
