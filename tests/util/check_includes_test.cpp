// contrib/check-includes against small trees of sources: what it has to find and what it has to let pass.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace sluice {
namespace {

using ::testing::HasSubstr;

struct Outcome {
    int status;
    std::string output;
};

// Runs the check on a tree of these files (path under src/ -> text).
Outcome Check(const std::map<std::string, std::string>& files) {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-test-XXXXXX").string();
    if (!mkdtemp(pattern.data())) return {-1, "mkdtemp failed"};
    for (const auto& [name, text] : files) {
        const std::filesystem::path path = std::filesystem::path(pattern) / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    const std::string command =
        std::string("python3 '" SLUICE_TEST_VECTORS "/../../contrib/check-includes' '") + pattern + "' 2>&1";
    Outcome outcome{-1, ""};
    if (FILE* pipe = popen(command.c_str(), "r")) {
        std::array<char, 4096> buffer;
        for (size_t got; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
            outcome.output.append(buffer.data(), got);
        outcome.status = WEXITSTATUS(pclose(pipe));
    }
    std::filesystem::remove_all(pattern);
    return outcome;
}

const std::map<std::string, std::string> kGood{
    {"util/bytes.h", "#include <vector>\n"},
    {"crypto/hash.cpp",
     "#include \"util/bytes.h\"\n#include <openssl/sha.h>\n#include <secp256k1_extrakeys.h>\n#include <sodium.h>\n"},
    {"crypto/secp256k1.h", "#include \"util/bytes.h\"\n"},
    {"storage/store.cpp", "#include \"util/bytes.h\"\n#include <leveldb/db.h>\n"},
    {"storage/store.h", ""},
    {"chain/deep/chain.cpp", "#include \"chain/deep/chain.h\"\n#  include \"storage/store.h\"\n"},
    {"chain/deep/chain.h",
     "// #include \"p2p/peer.h\"\n/*\n#include \"p2p/peer.h\"\n*/\n#include \"crypto/secp256k1.h\"\n"},
    {"p2p/peer.h", "const char* kText = R\"(\n#include \"chain/deep/chain.h\"\n)\";\n"},
    {"node/node.h", "#include \"p2p/peer.h\"\n#include \"chain/deep/chain.h\"\n"},
    {"rpc/rpc.h", "#include \"node/node.h\"\n"},
    {"apps/sluiced.cpp", "#include \"rpc/rpc.h\"\n"},
};

TEST(CheckIncludes, PassesATreeThatFollowsTheDirection) {
    const Outcome outcome = Check(kGood);
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    EXPECT_EQ(outcome.output, "");
}

TEST(CheckIncludes, FindsEachKindOfViolation) {
    const struct {
        const char* file;
        const char* line;
        const char* message;
    } kBad[] = {
        {"util/bad.h", "#include \"crypto/secp256k1.h\"", "src/util may not include src/crypto"},
        {"storage/bad.h", "#include \"crypto/secp256k1.h\"", "src/storage may not include src/crypto"},
        {"p2p/bad.cpp", "#include \"storage/store.h\"", "src/p2p may not include src/storage"},
        {"p2p/bad.cpp", "#include \"chain/deep/chain.h\"", "src/p2p may not include src/chain"},
        {"chain/bad.cpp", "  #  include\t\"p2p/peer.h\"  // why", "src/chain may not include src/p2p"},
        {"chain/bad.cpp", "#include <p2p/peer.h>", "own header"},
        {"node/bad.h", "#include \"rpc/rpc.h\"", "src/node may not include src/rpc"},
        {"chain/deep/bad.h", "#include \"chain.h\"", "does not name its folder"},
        {"chain/bad.h", "#include \"../p2p/peer.h\"", "does not name its folder"},
        {"chain/bad.h", "#include \"chain/missing.h\"", "does not exist"},
        {"chain/bad.h", "#include <secp256k1.h>", "only be included by src/crypto"},
        {"chain/bad.h", "#include \"secp256k1_schnorrsig.h\"", "only be included by src/crypto"},
        {"wallet/bad.h", "#include <sodium.h>", "only be included by src/crypto"},
        {"rpc/bad.h", "#include <openssl/ssl.h>", "only be included by src/crypto"},
        {"chain/bad.h", "#include <leveldb/db.h>", "only be included by src/storage"},
        {"chain/bad.h", "#include SOME_MACRO", "cannot be checked"},
    };
    for (const auto& bad : kBad) {
        auto files = kGood;
        files[bad.file] = std::string("#pragma once\n/* two\nlines */ int a;\n") + bad.line + "\n";
        const Outcome outcome = Check(files);
        EXPECT_EQ(outcome.status, 1) << bad.line;
        EXPECT_THAT(outcome.output, HasSubstr(std::string(bad.file) + ":4: "));
        EXPECT_THAT(outcome.output, HasSubstr(bad.message));
        EXPECT_THAT(outcome.output, HasSubstr("1 violation(s)"));
    }
}

TEST(CheckIncludes, RefusesFoldersThatTheArchitectureDoesNotKnowAndEmptyTrees) {
    auto files = kGood;
    files["helpers/bad.h"] = "\n";
    EXPECT_EQ(Check(files).status, 1);
    files = kGood;
    files["bad.h"] = "\n";
    EXPECT_EQ(Check(files).status, 1);
    EXPECT_EQ(Check({}).status, 2);
}

}  // namespace
}  // namespace sluice
