#pragma once

#include "consensus/staker_fixture.h"
#include "fuzz.h"

namespace sluice::fuzz {

// A ledger with a coin, a claim, a purchase, a channel, stakers and stake that has earned, and a valid transaction of
// each kind on top of it.
struct LedgerScene {
    LedgerScene();

    consensus::testing::Ledger ledger;
    std::vector<std::pair<std::string, TransactionRef>> transactions;
};
LedgerScene& TheLedgerScene();

// One of each kind of record, all fields of them used.
std::vector<std::pair<std::string, Record>> ExampleRecords();

// A header on top of regtest's genesis that is valid.
BlockHeader ExampleHeader();

}  // namespace sluice::fuzz
