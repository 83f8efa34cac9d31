#include "primitives/script.h"

namespace sluice {

ScriptBuilder& ScriptBuilder::Push(ByteSpan bytes) {
    if (bytes.empty()) return Op(kOp0);
    if (bytes.size() == 1 && bytes[0] >= 1 && bytes[0] <= 16) return Op(static_cast<uint8_t>(kOp1 + bytes[0] - 1));
    if (bytes.size() == 1 && bytes[0] == 0x81) return Op(0x4f);
    CHECK(bytes.size() <= 0xffff);
    if (bytes.size() < kOpPushData1) {
        m_script.push_back(static_cast<uint8_t>(bytes.size()));
    } else if (bytes.size() <= 0xff) {
        m_script.push_back(kOpPushData1);
        m_script.push_back(static_cast<uint8_t>(bytes.size()));
    } else {
        m_script.push_back(kOpPushData2);
        m_script.push_back(static_cast<uint8_t>(bytes.size() & 0xff));
        m_script.push_back(static_cast<uint8_t>(bytes.size() >> 8));
    }
    m_script.insert(m_script.end(), bytes.begin(), bytes.end());
    return *this;
}

ScriptBuilder& ScriptBuilder::Number(int64_t n) {
    Bytes encoded;
    uint64_t magnitude = n < 0 ? ~static_cast<uint64_t>(n) + 1 : static_cast<uint64_t>(n);
    for (; magnitude != 0; magnitude >>= 8) encoded.push_back(static_cast<uint8_t>(magnitude & 0xff));
    if (!encoded.empty() && (encoded.back() & 0x80)) encoded.push_back(0);
    if (n < 0) encoded.back() |= 0x80;
    return Push(encoded);
}

Script TaprootScript(const XOnlyPubKey& output_key) { return ScriptBuilder().Op(kOp1).Push(output_key.bytes).Take(); }

Script StakeScript(const XOnlyPubKey& output_key, const StakerId& staker) {
    Bytes program = ToBytes(output_key.bytes);
    program.insert(program.end(), staker.begin(), staker.end());
    return ScriptBuilder().Op(kOp14).Push(program).Take();
}

Script RecordScript(ByteSpan record) { return ScriptBuilder().Op(kOpReturn).Push(record).Take(); }

std::optional<WitnessProgram> ParseWitnessProgram(const Script& script) {
    if (script.size() < 4 || script.size() > 42) return std::nullopt;
    if (script[0] != kOp0 && (script[0] < kOp1 || script[0] > kOp16)) return std::nullopt;
    if (static_cast<size_t>(script[1]) + 2 != script.size()) return std::nullopt;
    return WitnessProgram{script[0] == kOp0 ? 0 : script[0] - kOp1 + 1, Bytes(script.begin() + 2, script.end())};
}

namespace {

// The one canonical push after OP_RETURN: 2 bytes or more (a record has a type and a field), shortest form.
std::optional<Bytes> ParseRecordPush(const Script& script) {
    if (script.size() < 2 || script[0] != kOpReturn) return std::nullopt;
    size_t header = 2;
    size_t size = script[1];
    if (script[1] == kOpPushData1) {
        if (script.size() < 3) return std::nullopt;
        header = 3;
        size = script[2];
        if (size < kOpPushData1) return std::nullopt;
    } else if (script[1] == kOpPushData2) {
        if (script.size() < 4) return std::nullopt;
        header = 4;
        size = static_cast<size_t>(script[2]) | static_cast<size_t>(script[3]) << 8;
        if (size <= 0xff) return std::nullopt;
    } else if (script[1] > kOpPushData2) {
        return std::nullopt;
    }
    if (size < 2 || size > kMaxRecordBytes || script.size() != header + size) return std::nullopt;
    return Bytes(script.begin() + static_cast<ptrdiff_t>(header), script.end());
}

}  // namespace

std::optional<OutputScript> ParseOutputScript(const Script& script) {
    if (auto record = ParseRecordPush(script)) return OutputScript{OutputKind::kRecord, {}, {}, std::move(*record)};
    const auto program = ParseWitnessProgram(script);
    if (!program) return std::nullopt;
    const ByteSpan bytes = program->program;
    if (program->version == 1 && bytes.size() == 32)
        return OutputScript{OutputKind::kTaproot, *XOnlyPubKey::FromBytes(bytes), {}, {}};
    if (program->version == 14 && bytes.size() == 40)
        return OutputScript{
            OutputKind::kStake, *XOnlyPubKey::FromBytes(bytes.first(32)), *StakerId::FromBytes(bytes.last(8)), {}};
    return std::nullopt;
}

}  // namespace sluice
