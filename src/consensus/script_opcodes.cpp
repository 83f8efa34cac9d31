#include "consensus/script_opcodes.h"

namespace sluice::consensus {

std::optional<Instruction> ScriptReader::Next() {
    Instruction instruction{m_left[0], {}};
    m_left = m_left.subspan(1);
    if (instruction.opcode > OP_PUSHDATA4) return instruction;

    size_t size = instruction.opcode;
    if (instruction.opcode >= OP_PUSHDATA1) {
        const size_t length_bytes = instruction.opcode == OP_PUSHDATA1 ? 1 : instruction.opcode == OP_PUSHDATA2 ? 2 : 4;
        if (m_left.size() < length_bytes) return std::nullopt;
        size = 0;
        for (size_t i = 0; i < length_bytes; ++i) size |= static_cast<size_t>(m_left[i]) << (8 * i);
        m_left = m_left.subspan(length_bytes);
    }
    if (size > m_left.size()) return std::nullopt;
    instruction.push = m_left.first(size);
    m_left = m_left.subspan(size);
    return instruction;
}

}  // namespace sluice::consensus
