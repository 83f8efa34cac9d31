#include "consensus/script_machine.h"

#include "consensus/script_number.h"

// The run of a tapscript: flow, locks and signatures. Operations on items are in script_operations.cpp.

namespace sluice::consensus {

ScriptVerdict ScriptMachine::Run(ByteSpan script) {
    ScriptReader reader(script);
    for (; !reader.AtEnd(); ++m_position) {
        const auto instruction = reader.Next();
        if (!instruction) return ScriptFail("a push runs past the end of the script");
        RETURN_IF_ERROR(Step(*instruction));
        if (m_stack.size() + m_alt_stack.size() > kMaxStackItems)
            return ScriptFail("the stack has more than 1000 items");
    }
    if (!m_conditions.Empty()) return ScriptFail("a conditional has no end");
    return {};
}

ScriptVerdict ScriptMachine::Step(const Instruction& instruction) {
    // Also where it is not executed.
    if (instruction.push.size() > kMaxStackItemBytes) return ScriptFail("a push is longer than 520 bytes");
    const uint8_t opcode = instruction.opcode;
    if (opcode >= OP_IF && opcode <= OP_ENDIF) return Condition(opcode);
    if (!m_conditions.AllTrue()) return {};
    if (opcode <= OP_PUSHDATA4) {
        m_stack.push_back(ToBytes(instruction.push));
        return {};
    }
    return Dispatch(opcode);
}

ScriptVerdict ScriptMachine::Dispatch(uint8_t opcode) {
    if (opcode == OP_1NEGATE || (opcode >= OP_1 && opcode <= OP_16)) {
        PushNumber(static_cast<int64_t>(opcode) - (OP_1 - 1));
        return {};
    }
    if (opcode >= OP_TOALTSTACK && opcode <= OP_TUCK) return MoveItems(opcode);
    if (opcode >= OP_1ADD && opcode <= OP_0NOTEQUAL) return UnaryNumber(opcode);
    if (opcode >= OP_ADD && opcode <= OP_MAX) return BinaryNumber(opcode);
    if (opcode >= OP_RIPEMD160 && opcode <= OP_HASH256) return HashTop(opcode);
    if (opcode == OP_NOP1 || (opcode >= OP_NOP4 && opcode <= OP_NOP10)) {
        if (m_flags.discourage_upgradable) return ScriptFail("an upgradable no-operation is not relayed");
        return {};
    }
    switch (opcode) {
        case OP_NOP:
            return {};
        case OP_VERIFY:
            return VerifyTop();
        case OP_RETURN:
            return ScriptFail("the script ran a return");
        case OP_SIZE:
            RETURN_IF_ERROR(Need(1));
            PushNumber(static_cast<int64_t>(Top().size()));
            return {};
        case OP_EQUAL:
        case OP_EQUALVERIFY:
            return Equality(opcode);
        case OP_WITHIN:
            return Within();
        case OP_CODESEPARATOR:
            m_path.code_separator_position = m_position;
            return {};
        case OP_CHECKSIG:
        case OP_CHECKSIGVERIFY:
        case OP_CHECKSIGADD:
            return Signature(opcode);
        case OP_CHECKMULTISIG:
        case OP_CHECKMULTISIGVERIFY:
            return ScriptFail("check-multisig is disabled in tapscript");
        case OP_CHECKLOCKTIMEVERIFY:
        case OP_CHECKSEQUENCEVERIFY:
            return Lock(opcode);
        default:
            return ScriptFail("an opcode is unknown");
    }
}

ScriptVerdict ScriptMachine::Condition(uint8_t opcode) {
    switch (opcode) {
        case OP_IF:
        case OP_NOTIF: {
            bool value = false;
            if (m_conditions.AllTrue()) {
                if (m_stack.empty()) return ScriptFail("a conditional has nothing to judge");
                const Bytes& top = Top();
                if (top.size() > 1 || (top.size() == 1 && top[0] != 1))
                    return ScriptFail("a conditional's argument is neither empty nor 1");
                value = top.empty() == (opcode == OP_NOTIF);
                Drop();
            }
            m_conditions.Push(value);
            return {};
        }
        case OP_ELSE:
            if (m_conditions.Empty()) return ScriptFail("an else has no conditional");
            m_conditions.Toggle();
            return {};
        case OP_ENDIF:
            if (m_conditions.Empty()) return ScriptFail("an end-if has no conditional");
            m_conditions.Pop();
            return {};
        default:  // OP_VERIF and OP_VERNOTIF fail also where they are not executed.
            return ScriptFail("an opcode is unknown");
    }
}

ScriptVerdict ScriptMachine::Lock(uint8_t opcode) {
    const bool lock_time = opcode == OP_CHECKLOCKTIMEVERIFY;
    if (!(lock_time ? m_flags.check_lock_time_verify : m_flags.check_sequence_verify)) return {};
    RETURN_IF_ERROR(Need(1));
    const auto number = DecodeScriptNumber(Top(), kLockNumberBytes);
    if (!number) return ScriptFail("a lock is a number of more than 5 bytes");
    if (*number < 0) return ScriptFail("a lock is negative");
    if (lock_time) {
        if (!m_checker.CheckLockTime(*number)) return ScriptFail("the lock time is not reached");
        return {};
    }
    const bool disabled = (*number & (int64_t{1} << 31)) != 0;
    if (!disabled && !m_checker.CheckSequence(*number)) return ScriptFail("the relative lock is not reached");
    return {};
}

ScriptVerdict ScriptMachine::Signature(uint8_t opcode) {
    if (opcode == OP_CHECKSIGADD) {
        RETURN_IF_ERROR(Need(3));
        const auto number = DecodeScriptNumber(Top(1));
        if (!number) return ScriptFail("a number has more than 4 bytes");
        const auto valid = EvaluateSignature(Top(2), Top());
        if (!valid) return ScriptFail(valid.error());
        Drop(3);
        PushNumber(*number + (*valid ? 1 : 0));
        return {};
    }
    RETURN_IF_ERROR(Need(2));
    const auto valid = EvaluateSignature(Top(1), Top());
    if (!valid) return ScriptFail(valid.error());
    Drop(2);
    if (opcode == OP_CHECKSIG) {
        PushBool(*valid);
    } else if (!*valid) {
        return ScriptFail("a signature that must be there is empty");
    }
    return {};
}

Result<bool, std::string> ScriptMachine::EvaluateSignature(ByteSpan signature, ByteSpan key) {
    const bool present = !signature.empty();
    if (present) {
        m_budget -= kSignatureBudgetCost;
        if (m_budget < 0) return ScriptFail("the signatures cost more than the witness's size allows");
    }
    if (key.empty()) return ScriptFail("a public key is empty");
    if (key.size() != XOnlyPubKey::kSize) {
        if (m_flags.discourage_upgradable) return ScriptFail("an unknown kind of public key is not relayed");
        return present;
    }
    if (present) {
        RETURN_IF_ERROR(
            m_checker.CheckSignature(signature, XOnlyPubKey::FromSpan(key.first<XOnlyPubKey::kSize>()), m_path));
    }
    return present;
}

ScriptVerdict ScriptMachine::VerifyTop() {
    RETURN_IF_ERROR(Need(1));
    if (!ScriptTruth(Top())) return ScriptFail("a condition that must be true is false");
    Drop();
    return {};
}

ScriptVerdict ScriptMachine::Need(size_t items) const {
    if (m_stack.size() < items) return ScriptFail("an operation has too few items on the stack");
    return {};
}

void ScriptMachine::PushNumber(int64_t n) { m_stack.push_back(EncodeScriptNumber(n)); }

}  // namespace sluice::consensus
