#pragma once

#include <string>

#include "consensus/sighash.h"

// The taproot verifier (BIP341, BIP342): key path, script path, the whole tapscript language.

namespace sluice::consensus {

// Lock-time checks can be switched off only to hold the verifier against public test assets; our chain has all on.
struct ScriptFlags {
    bool check_lock_time_verify{true};
    bool check_sequence_verify{true};
    // Policy, for relay only: unknown public key types, OP_SUCCESS, unknown leaf versions and upgradable no-operations
    // are refused. Annexes are not judged here: our chain uses them, and its transaction rules say where.
    bool discourage_upgradable{false};
};

// What a signature check of a spend has seen, for rules about how a transaction is signed.
struct SpendFacts {
    bool script_path{false};
    Bytes leaf_script;                // script path: the script that ran
    std::vector<uint8_t> hash_types;  // of each signature that was verified true, in order (0 = DEFAULT)
};

// Verifies that the witness of input `index` satisfies the taproot output (v1, 32 bytes) or stake output (v14, 40
// bytes, spent exactly as taproot under its first 32 bytes) that it spends. script_sig must be empty. The error is a
// short reason in lower-case words ("the signature of the key path is invalid"). Work is bounded by the witness size
// (BIP342's signature budget).
Result<SpendFacts, std::string> VerifyInput(const SpendingTransaction& tx, size_t index, const ScriptFlags& flags = {});

// The annex of a witness, with its 0x50 prefix: the last of two or more items if it starts with 0x50.
std::optional<Bytes> FindAnnex(const WitnessStack& witness);

}  // namespace sluice::consensus
