#pragma once

#include <map>
#include <sstream>

#include "consensus/interpreter.h"
#include "consensus/script_opcodes.h"
#include "primitives/script.h"

// Builds tapscripts from text and spends them, for the tests of the verifier.

namespace sluice::consensus::testing {

inline const std::map<std::string, uint8_t>& OpcodesByName() {
    static const std::map<std::string, uint8_t> names{{"RESERVED", 0x50},
                                                      {"NOP", OP_NOP},
                                                      {"VER", 0x62},
                                                      {"IF", OP_IF},
                                                      {"NOTIF", OP_NOTIF},
                                                      {"VERIF", OP_VERIF},
                                                      {"VERNOTIF", OP_VERNOTIF},
                                                      {"ELSE", OP_ELSE},
                                                      {"ENDIF", OP_ENDIF},
                                                      {"VERIFY", OP_VERIFY},
                                                      {"RETURN", OP_RETURN},
                                                      {"TOALTSTACK", OP_TOALTSTACK},
                                                      {"FROMALTSTACK", OP_FROMALTSTACK},
                                                      {"2DROP", OP_2DROP},
                                                      {"2DUP", OP_2DUP},
                                                      {"3DUP", OP_3DUP},
                                                      {"2OVER", OP_2OVER},
                                                      {"2ROT", OP_2ROT},
                                                      {"2SWAP", OP_2SWAP},
                                                      {"IFDUP", OP_IFDUP},
                                                      {"DEPTH", OP_DEPTH},
                                                      {"DROP", OP_DROP},
                                                      {"DUP", OP_DUP},
                                                      {"NIP", OP_NIP},
                                                      {"OVER", OP_OVER},
                                                      {"PICK", OP_PICK},
                                                      {"ROLL", OP_ROLL},
                                                      {"ROT", OP_ROT},
                                                      {"SWAP", OP_SWAP},
                                                      {"TUCK", OP_TUCK},
                                                      {"CAT", 0x7e},
                                                      {"SIZE", OP_SIZE},
                                                      {"EQUAL", OP_EQUAL},
                                                      {"EQUALVERIFY", OP_EQUALVERIFY},
                                                      {"1ADD", OP_1ADD},
                                                      {"1SUB", OP_1SUB},
                                                      {"NEGATE", OP_NEGATE},
                                                      {"ABS", OP_ABS},
                                                      {"NOT", OP_NOT},
                                                      {"0NOTEQUAL", OP_0NOTEQUAL},
                                                      {"ADD", OP_ADD},
                                                      {"SUB", OP_SUB},
                                                      {"BOOLAND", OP_BOOLAND},
                                                      {"BOOLOR", OP_BOOLOR},
                                                      {"NUMEQUAL", OP_NUMEQUAL},
                                                      {"NUMEQUALVERIFY", OP_NUMEQUALVERIFY},
                                                      {"NUMNOTEQUAL", OP_NUMNOTEQUAL},
                                                      {"LESSTHAN", OP_LESSTHAN},
                                                      {"GREATERTHAN", OP_GREATERTHAN},
                                                      {"LESSTHANOREQUAL", OP_LESSTHANOREQUAL},
                                                      {"GREATERTHANOREQUAL", OP_GREATERTHANOREQUAL},
                                                      {"MIN", OP_MIN},
                                                      {"MAX", OP_MAX},
                                                      {"WITHIN", OP_WITHIN},
                                                      {"RIPEMD160", OP_RIPEMD160},
                                                      {"SHA1", OP_SHA1},
                                                      {"SHA256", OP_SHA256},
                                                      {"HASH160", OP_HASH160},
                                                      {"HASH256", OP_HASH256},
                                                      {"CODESEPARATOR", OP_CODESEPARATOR},
                                                      {"CHECKSIG", OP_CHECKSIG},
                                                      {"CHECKSIGVERIFY", OP_CHECKSIGVERIFY},
                                                      {"CHECKMULTISIG", OP_CHECKMULTISIG},
                                                      {"CHECKMULTISIGVERIFY", OP_CHECKMULTISIGVERIFY},
                                                      {"NOP1", OP_NOP1},
                                                      {"CLTV", OP_CHECKLOCKTIMEVERIFY},
                                                      {"CSV", OP_CHECKSEQUENCEVERIFY},
                                                      {"NOP4", OP_NOP4},
                                                      {"NOP10", OP_NOP10},
                                                      {"CHECKSIGADD", OP_CHECKSIGADD}};
    return names;
}

// One script from words: an opcode's name without OP_, a decimal number (minimal push), <hex> (minimal push), 0xhex
// (bytes as they are), and any of them after "N*" that many times.
inline Script Asm(const std::string& text) {
    Script script;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        size_t times = 1;
        if (const size_t star = word.find('*'); star != std::string::npos) {
            times = std::stoul(word.substr(0, star));
            word = word.substr(star + 1);
        }
        Script part;
        if (const auto named = OpcodesByName().find(word); named != OpcodesByName().end()) {
            part = {named->second};
        } else if (word.starts_with("0x")) {
            part = HexDecode(word.substr(2)).value();
        } else if (word.starts_with("<")) {
            part = ScriptBuilder().Push(HexDecode(word.substr(1, word.size() - 2)).value()).Take();
        } else {
            part = ScriptBuilder().Number(std::stoll(word)).Take();
        }
        for (size_t i = 0; i < times; ++i) script.insert(script.end(), part.begin(), part.end());
    }
    return script;
}

// The minimal push of `size` zero bytes, as a word of Asm.
inline std::string Zeros(size_t size) { return "<" + std::string(2 * size, '0') + ">"; }

inline crypto::SecretKey TestKey(uint8_t n) {
    Bytes bytes(32, 0);
    bytes[31] = n;
    return *crypto::SecretKey::FromBytes(bytes);
}
inline std::string KeyWord(const crypto::SecretKey& key) { return "<" + key.XOnly().Hex() + ">"; }

// One input that spends an output with a single leaf, under a key path of TestKey(1). The transaction has two inputs
// and two outputs; every part may be changed before it is signed and verified.
class LeafSpend {
  public:
    explicit LeafSpend(Script leaf, uint8_t leaf_version = 0xc0)
        : m_leaf(std::move(leaf)), m_leaf_version(leaf_version) {
        tx.version = 2;
        tx.inputs.resize(2);
        tx.inputs[0].prevout.index = 7;
        tx.inputs[1].prevout.index = 8;
        tx.outputs = {{Amount(500), Script{0x51}}, {Amount(600), Script{0x52}}};
        const auto internal = TestKey(1).XOnly();
        const auto output = *crypto::TapTweak(internal, LeafHash());
        control = {static_cast<uint8_t>(leaf_version | (output.odd_y ? 1 : 0))};
        control.insert(control.end(), internal.begin(), internal.end());
        spent = {{Amount(1000), TaprootScript(output.key)}, {Amount(2000), TaprootScript(TestKey(9).XOnly())}};
    }

    Hash256 LeafHash() const { return TapLeafHash(m_leaf, m_leaf_version); }
    // A signature for the leaf by `key`: 64 bytes for DEFAULT, else 65.
    Bytes Sign(const crypto::SecretKey& key, uint8_t hash_type = kSighashDefault,
               uint32_t code_separator = 0xffffffff) const {
        const auto hash = SpendingTransaction(tx, spent).SignatureHash(
            0, hash_type, ScriptPathData{LeafHash(), code_separator}, annex);
        Bytes signature = ToBytes(key.Sign(*hash).bytes);
        if (hash_type != kSighashDefault) signature.push_back(hash_type);
        return signature;
    }
    Bytes SignKeyPath(uint8_t hash_type = kSighashDefault) const {
        const auto hash = SpendingTransaction(tx, spent).SignatureHash(0, hash_type, {}, annex);
        Bytes signature = ToBytes(TestKey(1).TapTweak(LeafHash())->Sign(*hash).bytes);
        if (hash_type != kSighashDefault) signature.push_back(hash_type);
        return signature;
    }
    Result<SpendFacts, std::string> VerifyScriptPath(WitnessStack stack, const ScriptFlags& flags = {}) {
        stack.push_back(m_leaf);
        stack.push_back(control);
        return Verify(std::move(stack), flags);
    }
    Result<SpendFacts, std::string> Verify(WitnessStack witness, const ScriptFlags& flags = {}) {
        if (annex) witness.push_back(*annex);
        tx.inputs[0].witness = std::move(witness);
        return VerifyInput(SpendingTransaction(tx, spent), 0, flags);
    }

    MutableTransaction tx;
    std::vector<TxOutput> spent;
    Bytes control;
    std::optional<Bytes> annex;

  private:
    Script m_leaf;
    uint8_t m_leaf_version;
};

// Empty if `leaf` succeeds on the stack that `stack` pushes, else the reason.
inline std::string RunLeaf(const Script& leaf, WitnessStack stack = {}, const ScriptFlags& flags = {}) {
    const auto result = LeafSpend(leaf).VerifyScriptPath(std::move(stack), flags);
    return result ? std::string() : result.error();
}
inline std::string RunAsm(const std::string& text, WitnessStack stack = {}) {
    return RunLeaf(Asm(text), std::move(stack));
}

}  // namespace sluice::consensus::testing
