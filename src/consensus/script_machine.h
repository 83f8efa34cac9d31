#pragma once

#include "consensus/script_checker.h"
#include "consensus/script_opcodes.h"

namespace sluice::consensus {

inline constexpr size_t kMaxStackItems = 1000;  // stack and alt stack together
inline constexpr size_t kMaxStackItemBytes = 520;
inline constexpr int64_t kSignatureBudgetOffset = 50;  // BIP342: budget = this + serialized witness size
inline constexpr int64_t kSignatureBudgetCost = 50;    // of each signature that is not empty

// The nesting of IFs as BIP342's rules need it: only whether all conditions hold matters, so depth and the first false
// one are enough and every operation is O(1), however deep a hostile script nests.
class ConditionStack {
  public:
    bool Empty() const { return m_depth == 0; }
    bool AllTrue() const { return m_first_false == kNone; }
    void Push(bool value) {
        if (AllTrue() && !value) m_first_false = m_depth;
        ++m_depth;
    }
    // Precondition of both: !Empty().
    void Pop() {
        --m_depth;
        if (m_first_false == m_depth) m_first_false = kNone;
    }
    void Toggle() {
        if (m_first_false == kNone) {
            m_first_false = m_depth - 1;
        } else if (m_first_false == m_depth - 1) {
            m_first_false = kNone;
        }
    }

  private:
    static constexpr size_t kNone = ~size_t{0};
    size_t m_depth{0};
    size_t m_first_false{kNone};
};

// Runs one tapscript (BIP342) on one stack; once. The limits on the initial stack and the OP_SUCCESS scan are the
// caller's.
//
// Invariants after every instruction:
// 1. stack and alt stack hold at most kMaxStackItems together, none longer than kMaxStackItemBytes;
// 2. each signature verified has cost kSignatureBudgetCost of the budget, which never becomes negative.
class ScriptMachine {
  public:
    // `checker` must outlive the machine.
    ScriptMachine(ScriptChecker& checker, const ScriptFlags& flags, const Hash256& leaf_hash, int64_t signature_budget,
                  std::vector<Bytes> stack)
        : m_checker(checker),
          m_flags(flags),
          m_path{leaf_hash},
          m_budget(signature_budget),
          m_stack(std::move(stack)) {}

    ScriptVerdict Run(ByteSpan script);
    const std::vector<Bytes>& stack() const { return m_stack; }

  private:
    ScriptVerdict Step(const Instruction& instruction);
    ScriptVerdict Dispatch(uint8_t opcode);
    // One for each group of opcodes; an opcode outside the group is an unknown one.
    ScriptVerdict Condition(uint8_t opcode);
    ScriptVerdict Lock(uint8_t opcode);
    ScriptVerdict Signature(uint8_t opcode);
    ScriptVerdict MoveItems(uint8_t opcode);
    ScriptVerdict PickOrRoll(bool roll);
    ScriptVerdict Equality(uint8_t opcode);
    ScriptVerdict UnaryNumber(uint8_t opcode);
    ScriptVerdict BinaryNumber(uint8_t opcode);
    ScriptVerdict Within();
    ScriptVerdict HashTop(uint8_t opcode);

    // True or false of a signature opcode, or the failure of the whole script.
    Result<bool, std::string> EvaluateSignature(ByteSpan signature, ByteSpan key);
    // Drops the top item if it is true.
    ScriptVerdict VerifyTop();

    ScriptVerdict Need(size_t items) const;
    // The item `depth` below the top (0 is the top). Precondition: there are more than `depth` items.
    Bytes& Top(size_t depth = 0) { return m_stack[m_stack.size() - 1 - depth]; }
    void Drop(size_t items = 1) { m_stack.resize(m_stack.size() - items); }
    // Pushes a copy of the item at `depth`.
    void Copy(size_t depth) { m_stack.push_back(Bytes(Top(depth))); }
    void PushNumber(int64_t n);
    void PushBool(bool value) { m_stack.push_back(value ? Bytes{1} : Bytes{}); }

    ScriptChecker& m_checker;
    const ScriptFlags& m_flags;
    ScriptPathData m_path;
    int64_t m_budget;
    std::vector<Bytes> m_stack;
    std::vector<Bytes> m_alt_stack;
    ConditionStack m_conditions;
    uint32_t m_position{0};  // of the instruction being run, counted in opcodes
};

}  // namespace sluice::consensus
