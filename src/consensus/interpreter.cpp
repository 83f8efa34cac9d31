#include "consensus/interpreter.h"

#include "consensus/script_machine.h"
#include "consensus/script_number.h"
#include "primitives/script.h"

namespace sluice::consensus {
namespace {

constexpr uint8_t kAnnexPrefix = 0x50;
constexpr uint8_t kLeafVersionMask = 0xfe;
constexpr uint8_t kLeafVersionTapscript = 0xc0;
constexpr size_t kControlBaseBytes = 33;
constexpr size_t kControlNodeBytes = 32;
constexpr size_t kControlMaxNodes = 128;
constexpr int kTaprootVersion = 1;
constexpr size_t kTaprootProgramBytes = 32;
constexpr int kStakeVersion = 14;
constexpr size_t kStakeProgramBytes = 40;

// The key that may spend `script` under BIP341's rules; nullopt if it is not such an output.
std::optional<XOnlyPubKey> SpendingKey(const Script& script) {
    const auto program = ParseWitnessProgram(script);
    if (!program) return std::nullopt;
    const bool taproot = program->version == kTaprootVersion && program->program.size() == kTaprootProgramBytes;
    const bool stake = program->version == kStakeVersion && program->program.size() == kStakeProgramBytes;
    if (!taproot && !stake) return std::nullopt;
    return XOnlyPubKey::FromBytes(ByteSpan(program->program).first(kTaprootProgramBytes));
}

bool HasAnnex(const WitnessStack& witness) {
    return witness.size() >= 2 && !witness.back().empty() && witness.back()[0] == kAnnexPrefix;
}

size_t CompactSizeBytes(uint64_t size) { return size < 253 ? 1 : size <= 0xffff ? 3 : size <= 0xffffffff ? 5 : 9; }

// The serialized size of a whole input witness, annex and all.
int64_t WitnessBytes(const WitnessStack& witness) {
    size_t bytes = CompactSizeBytes(witness.size());
    for (const Bytes& item : witness) bytes += CompactSizeBytes(item.size()) + item.size();
    return static_cast<int64_t>(bytes);
}

// The root that the control block's path leads to from `leaf_hash`. Precondition: a whole number of nodes.
Hash256 MerkleRootOfPath(ByteSpan control, Hash256 node) {
    for (ByteSpan path = control.subspan(kControlBaseBytes); !path.empty(); path = path.subspan(kControlNodeBytes))
        node = TapBranchHash(node, Hash256::FromSpan(path.first<kControlNodeBytes>()));
    return node;
}

enum class ScanResult { kRun, kSucceed, kUndecodable };

// An OP_SUCCESS wins over everything that comes after it, and over every limit.
ScanResult ScanForSuccess(const Script& script) {
    for (ScriptReader reader(script); !reader.AtEnd();) {
        const auto instruction = reader.Next();
        if (!instruction) return ScanResult::kUndecodable;
        if (IsOpSuccess(instruction->opcode)) return ScanResult::kSucceed;
    }
    return ScanResult::kRun;
}

ScriptVerdict RunTapscript(ScriptChecker& checker, const ScriptFlags& flags, const Script& script,
                           const Hash256& leaf_hash, int64_t budget, std::vector<Bytes> stack) {
    switch (ScanForSuccess(script)) {
        case ScanResult::kUndecodable:
            return ScriptFail("a push runs past the end of the script");
        case ScanResult::kSucceed:
            if (flags.discourage_upgradable) return ScriptFail("an opcode reserved for upgrades is not relayed");
            return {};
        case ScanResult::kRun:
            break;
    }
    if (stack.size() > kMaxStackItems) return ScriptFail("the stack has more than 1000 items");
    for (const Bytes& item : stack) {
        if (item.size() > kMaxStackItemBytes) return ScriptFail("an item of the stack is longer than 520 bytes");
    }
    ScriptMachine machine(checker, flags, leaf_hash, budget, std::move(stack));
    RETURN_IF_ERROR(machine.Run(script));
    if (machine.stack().size() != 1) return ScriptFail("the script does not end with exactly one item on the stack");
    if (!ScriptTruth(machine.stack().back())) return ScriptFail("the script ends with false");
    return {};
}

// `items` is the witness without its annex, at least two.
ScriptVerdict VerifyScriptPath(ScriptChecker& checker, const ScriptFlags& flags, const XOnlyPubKey& output_key,
                               std::span<const Bytes> items, int64_t budget, SpendFacts& facts) {
    const ByteSpan control = items.back();
    const Bytes& script = items[items.size() - 2];
    const std::span<const Bytes> arguments = items.first(items.size() - 2);
    if (control.size() < kControlBaseBytes ||
        control.size() > kControlBaseBytes + kControlMaxNodes * kControlNodeBytes ||
        (control.size() - kControlBaseBytes) % kControlNodeBytes != 0)
        return ScriptFail("the control block is not 33 bytes and up to 128 nodes of 32 bytes");

    const uint8_t leaf_version = control[0] & kLeafVersionMask;
    const bool odd_y = (control[0] & 1) != 0;
    const Hash256 leaf_hash = TapLeafHash(script, leaf_version);
    const auto internal_key = XOnlyPubKey::FromSpan(control.subspan<1, XOnlyPubKey::kSize>());
    if (!crypto::CheckTapTweak(output_key, odd_y, internal_key, MerkleRootOfPath(control, leaf_hash)))
        return ScriptFail("the output does not commit to the script");

    facts.script_path = true;
    if (leaf_version != kLeafVersionTapscript) {
        if (flags.discourage_upgradable) return ScriptFail("an unknown leaf version is not relayed");
        return {};
    }
    facts.leaf_script = script;
    return RunTapscript(checker, flags, script, leaf_hash, budget, {arguments.begin(), arguments.end()});
}

}  // namespace

std::optional<Bytes> FindAnnex(const WitnessStack& witness) {
    if (!HasAnnex(witness)) return std::nullopt;
    return witness.back();
}

Result<SpendFacts, std::string> VerifyInput(const SpendingTransaction& tx, size_t index, const ScriptFlags& flags) {
    if (index >= tx.tx().inputs.size()) return ScriptFail("the transaction has no input of this index");
    const TxInput& input = tx.tx().inputs[index];
    const auto output_key = SpendingKey(tx.spent()[index].script);
    if (!output_key) return ScriptFail("the output spent is neither a taproot nor a stake output");
    if (!input.script_sig.empty()) return ScriptFail("the input has a script outside its witness");
    if (input.witness.empty()) return ScriptFail("the input has no witness");

    std::span<const Bytes> items = input.witness;
    std::optional<Hash256> annex_hash;
    if (HasAnnex(input.witness)) {
        annex_hash = AnnexHash(items.back());
        items = items.first(items.size() - 1);
    }
    SpendFacts facts;
    ScriptChecker checker(tx, index, annex_hash, facts);
    if (items.size() == 1) {
        RETURN_IF_ERROR(checker.CheckSignature(items[0], *output_key, std::nullopt));
        return facts;
    }
    const int64_t budget = kSignatureBudgetOffset + WitnessBytes(input.witness);
    RETURN_IF_ERROR(VerifyScriptPath(checker, flags, *output_key, items, budget, facts));
    return facts;
}

}  // namespace sluice::consensus
