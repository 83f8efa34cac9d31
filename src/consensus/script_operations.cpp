#include "consensus/script_machine.h"
#include "consensus/script_number.h"

// The operations of a tapscript on the items of its stack.

namespace sluice::consensus {
namespace {

constexpr const char* kNumberTooLong = "a number has more than 4 bytes";

// How many items an operation of MoveItems needs on the stack.
size_t ItemsNeeded(uint8_t opcode) {
    switch (opcode) {
        case OP_2ROT:
            return 6;
        case OP_2OVER:
        case OP_2SWAP:
            return 4;
        case OP_3DUP:
        case OP_ROT:
            return 3;
        case OP_2DROP:
        case OP_2DUP:
        case OP_NIP:
        case OP_OVER:
        case OP_PICK:
        case OP_ROLL:
        case OP_SWAP:
        case OP_TUCK:
            return 2;
        case OP_FROMALTSTACK:
        case OP_DEPTH:
            return 0;
        default:
            return 1;
    }
}

}  // namespace

ScriptVerdict ScriptMachine::MoveItems(uint8_t opcode) {
    RETURN_IF_ERROR(Need(ItemsNeeded(opcode)));
    switch (opcode) {
        case OP_TOALTSTACK:
            m_alt_stack.push_back(std::move(Top()));
            Drop();
            return {};
        case OP_FROMALTSTACK:
            if (m_alt_stack.empty()) return ScriptFail("the alt stack is empty");
            m_stack.push_back(std::move(m_alt_stack.back()));
            m_alt_stack.pop_back();
            return {};
        case OP_2DROP:
            Drop(2);
            return {};
        case OP_2DUP:
            Copy(1);
            Copy(1);
            return {};
        case OP_3DUP:
            Copy(2);
            Copy(2);
            Copy(2);
            return {};
        case OP_2OVER:
            Copy(3);
            Copy(3);
            return {};
        case OP_2ROT:
            std::rotate(m_stack.end() - 6, m_stack.end() - 4, m_stack.end());
            return {};
        case OP_2SWAP:
            std::rotate(m_stack.end() - 4, m_stack.end() - 2, m_stack.end());
            return {};
        case OP_IFDUP:
            if (ScriptTruth(Top())) Copy(0);
            return {};
        case OP_DEPTH:
            PushNumber(static_cast<int64_t>(m_stack.size()));
            return {};
        case OP_DROP:
            Drop();
            return {};
        case OP_DUP:
            Copy(0);
            return {};
        case OP_NIP:
            m_stack.erase(m_stack.end() - 2);
            return {};
        case OP_OVER:
            Copy(1);
            return {};
        case OP_PICK:
        case OP_ROLL:
            return PickOrRoll(opcode == OP_ROLL);
        case OP_ROT:
            std::rotate(m_stack.end() - 3, m_stack.end() - 2, m_stack.end());
            return {};
        case OP_SWAP:
            std::swap(Top(0), Top(1));
            return {};
        case OP_TUCK:
            m_stack.insert(m_stack.end() - 2, Bytes(Top()));
            return {};
        default:
            return ScriptFail("an opcode is unknown");
    }
}

ScriptVerdict ScriptMachine::PickOrRoll(bool roll) {
    const auto number = DecodeScriptNumber(Top());
    if (!number) return ScriptFail(kNumberTooLong);
    Drop();
    if (*number < 0 || *number >= static_cast<int64_t>(m_stack.size()))
        return ScriptFail("an operation has too few items on the stack");
    const auto depth = static_cast<size_t>(*number);
    if (!roll) {
        Copy(depth);
        return {};
    }
    const auto rolled = m_stack.end() - 1 - static_cast<ptrdiff_t>(depth);
    std::rotate(rolled, rolled + 1, m_stack.end());
    return {};
}

ScriptVerdict ScriptMachine::Equality(uint8_t opcode) {
    RETURN_IF_ERROR(Need(2));
    const bool equal = Top(0) == Top(1);
    Drop(2);
    if (opcode == OP_EQUAL) {
        PushBool(equal);
    } else if (!equal) {
        return ScriptFail("two items that must be equal differ");
    }
    return {};
}

ScriptVerdict ScriptMachine::UnaryNumber(uint8_t opcode) {
    RETURN_IF_ERROR(Need(1));
    const auto number = DecodeScriptNumber(Top());
    if (!number) return ScriptFail(kNumberTooLong);
    const int64_t n = *number;
    int64_t result = 0;
    switch (opcode) {
        case OP_1ADD:
            result = n + 1;
            break;
        case OP_1SUB:
            result = n - 1;
            break;
        case OP_NEGATE:
            result = -n;
            break;
        case OP_ABS:
            result = n < 0 ? -n : n;
            break;
        case OP_NOT:
            result = n == 0;
            break;
        case OP_0NOTEQUAL:
            result = n != 0;
            break;
        default:
            return ScriptFail("an opcode is unknown");
    }
    Drop();
    PushNumber(result);
    return {};
}

ScriptVerdict ScriptMachine::BinaryNumber(uint8_t opcode) {
    RETURN_IF_ERROR(Need(2));
    const auto first = DecodeScriptNumber(Top(1));
    const auto second = DecodeScriptNumber(Top());
    if (!first || !second) return ScriptFail(kNumberTooLong);
    const int64_t a = *first;
    const int64_t b = *second;
    int64_t result = 0;
    switch (opcode) {
        case OP_ADD:
            result = a + b;
            break;
        case OP_SUB:
            result = a - b;
            break;
        case OP_BOOLAND:
            result = a != 0 && b != 0;
            break;
        case OP_BOOLOR:
            result = a != 0 || b != 0;
            break;
        case OP_NUMEQUAL:
        case OP_NUMEQUALVERIFY:
            result = a == b;
            break;
        case OP_NUMNOTEQUAL:
            result = a != b;
            break;
        case OP_LESSTHAN:
            result = a < b;
            break;
        case OP_GREATERTHAN:
            result = a > b;
            break;
        case OP_LESSTHANOREQUAL:
            result = a <= b;
            break;
        case OP_GREATERTHANOREQUAL:
            result = a >= b;
            break;
        case OP_MIN:
            result = std::min(a, b);
            break;
        case OP_MAX:
            result = std::max(a, b);
            break;
        default:
            return ScriptFail("an opcode is unknown");
    }
    Drop(2);
    PushNumber(result);
    return opcode == OP_NUMEQUALVERIFY ? VerifyTop() : ScriptVerdict{};
}

ScriptVerdict ScriptMachine::Within() {
    RETURN_IF_ERROR(Need(3));
    const auto n = DecodeScriptNumber(Top(2));
    const auto least = DecodeScriptNumber(Top(1));
    const auto end = DecodeScriptNumber(Top());
    if (!n || !least || !end) return ScriptFail(kNumberTooLong);
    const bool within = *least <= *n && *n < *end;
    Drop(3);
    PushBool(within);
    return {};
}

ScriptVerdict ScriptMachine::HashTop(uint8_t opcode) {
    RETURN_IF_ERROR(Need(1));
    Bytes& top = Top();
    switch (opcode) {
        case OP_RIPEMD160:
            top = ToBytes(crypto::Ripemd160(top).bytes);
            return {};
        case OP_SHA1:
            top = ToBytes(crypto::Sha1(top).bytes);
            return {};
        case OP_SHA256:
            top = ToBytes(crypto::Sha256Of(top).bytes);
            return {};
        case OP_HASH160:
            top = ToBytes(crypto::Ripemd160(crypto::Sha256Of(top).bytes).bytes);
            return {};
        default:  // OP_HASH256
            top = ToBytes(crypto::Sha256d(top).bytes);
            return {};
    }
}

}  // namespace sluice::consensus
