#pragma once

#include <optional>

#include "primitives/transaction.h"

// Output scripts: the few forms that our chain allows, and how to build scripts.

namespace sluice {

// Opcodes that our own scripts use; the interpreter knows them all.
inline constexpr uint8_t kOp0 = 0x00;
inline constexpr uint8_t kOpPushData1 = 0x4c;
inline constexpr uint8_t kOpPushData2 = 0x4d;
inline constexpr uint8_t kOp1 = 0x51;
inline constexpr uint8_t kOp14 = 0x5e;
inline constexpr uint8_t kOp16 = 0x60;
inline constexpr uint8_t kOpReturn = 0x6a;
inline constexpr uint8_t kOpDrop = 0x75;
inline constexpr uint8_t kOpCheckSig = 0xac;
inline constexpr uint8_t kOpCheckSigVerify = 0xad;
inline constexpr uint8_t kOpCheckLockTimeVerify = 0xb1;

inline constexpr size_t kMaxRecordBytes = 4096;

// Appends opcodes and minimal pushes.
class ScriptBuilder {
  public:
    ScriptBuilder& Op(uint8_t opcode) {
        m_script.push_back(opcode);
        return *this;
    }
    ScriptBuilder& Push(ByteSpan bytes);
    // A minimally encoded script number (OP_0, OP_1..OP_16, or a push).
    ScriptBuilder& Number(int64_t n);
    Script Take() { return std::move(m_script); }

  private:
    Script m_script;
};

Script TaprootScript(const XOnlyPubKey& output_key);                        // OP_1 <32>
Script StakeScript(const XOnlyPubKey& output_key, const StakerId& staker);  // OP_14 <32 || 8>
Script RecordScript(ByteSpan record);                                       // OP_RETURN <push>

struct WitnessProgram {
    int version{0};
    Bytes program;
};
// BIP141: a version opcode and one push of 2 to 40 bytes, nothing else.
std::optional<WitnessProgram> ParseWitnessProgram(const Script& script);

enum class OutputKind { kTaproot, kStake, kRecord };
// What a script is on our chain; nullopt for every other script (which makes an output invalid).
struct OutputScript {
    OutputKind kind{OutputKind::kTaproot};
    XOnlyPubKey key;  // taproot and stake
    StakerId staker;  // stake
    Bytes record;     // record: the pushed bytes, 1 to kMaxRecordBytes
};
std::optional<OutputScript> ParseOutputScript(const Script& script);

}  // namespace sluice
