#include "node/operator_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "storage/memory_disk.h"

namespace sluice::node {
namespace {

using testing::HasSubstr;

constexpr const char* kPath = "/keys/staker.json";
const std::string kVrf(64, '1');
const std::string kSigning(64, '2');

Result<bool> Always(const std::string&) { return true; }

class OperatorKeysTest : public testing::Test {
  protected:
    OperatorKeysTest() { EXPECT_TRUE(files().CreateDirectories("/keys")); }
    storage::FileSystem& files() { return m_disk.files(); }
    Result<OperatorKeyFile> Read(const std::string& text) {
        EXPECT_TRUE(storage::WriteFileAtomically(files(), kPath, AsBytes(text)));
        return ReadOperatorKeys(files(), kPath, Always);
    }
    std::string ErrorOf(const std::string& text) {
        const auto keys = Read(text);
        return keys ? "" : keys.error().message;
    }
    static std::string Text(const std::string& staker) {
        return R"({"version":1,"staker":)" + staker + R"(,"vrf_secret":")" + kVrf + R"(","signing_secret":")" +
               kSigning + "\"}";
    }
    storage::MemoryDisk m_disk{1};
};

TEST_F(OperatorKeysTest, WhatIsWrittenIsReadAgainWithAndWithoutAStaker) {
    SeededRandom random(7);
    OperatorKeyFile keys = MakeOperatorKeys(random);
    EXPECT_FALSE(keys.staker);
    for (const bool registered : {false, true}) {
        if (registered) keys.staker = StakerId::FromHex("00112233445566ff");
        ASSERT_TRUE(WriteOperatorKeys(files(), kPath, keys, ExistingFile::kReplace));
        const auto read = ReadOperatorKeys(files(), kPath, Always);
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(read->staker, keys.staker);
        EXPECT_EQ(read->VrfPublic(), keys.VrfPublic());
        EXPECT_EQ(read->SigningPublic(), keys.SigningPublic());
    }
    const consensus::OperatorKeys operator_keys = keys.Keys(*keys.staker);
    EXPECT_EQ(operator_keys.staker, *keys.staker);
    EXPECT_EQ(crypto::VrfPublic(operator_keys.vrf), keys.VrfPublic());
    EXPECT_EQ(operator_keys.signing.XOnly(), keys.SigningPublic());
}

TEST_F(OperatorKeysTest, FreshKeysDifferAndAreFitToRegister) {
    SeededRandom random(7);
    const OperatorKeyFile a = MakeOperatorKeys(random), b = MakeOperatorKeys(random);
    EXPECT_NE(a.VrfPublic(), b.VrfPublic());
    EXPECT_NE(a.SigningPublic(), b.SigningPublic());
    EXPECT_TRUE(crypto::VrfKeyIsValid(a.VrfPublic()));
    EXPECT_TRUE(crypto::IsOnCurve(a.SigningPublic()));
}

TEST_F(OperatorKeysTest, OrderAndBlanksOfTheFieldsAreFree) {
    const auto read = Read("\n{ \"signing_secret\" : \"" + kSigning + "\",\t\"vrf_secret\":\"" + kVrf +
                           "\",\"staker\": \"00000000000000aa\" ,\r\n\"version\" : 1 }\n ");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->staker, StakerId::FromHex("00000000000000aa"));
    EXPECT_EQ(HexEncode(read->signing.bytes()), kSigning);
}

TEST_F(OperatorKeysTest, ABadFileIsRefusedWithOneReasonThatShowsNoSecret) {
    const std::string good = Text("null");
    ASSERT_EQ(ErrorOf(good), "");
    const auto replaced = [&](const std::string& what, const std::string& by) {
        std::string text = good;
        text.replace(text.find(what), what.size(), by);
        return text;
    };
    const std::pair<std::string, const char*> table[] = {
        {"", "is not a file of operator keys"},
        {"[]", "is not a file of operator keys"},
        {"{}", "is not a file of operator keys"},
        {good + "x", "is not a file of operator keys"},
        {good + good, "is not a file of operator keys"},
        {good.substr(0, good.size() - 1), "is not a file of operator keys"},
        {good.substr(0, good.size() - 40), "is not a file of operator keys"},
        {replaced("\"version\":1", "\"version\":2"), "version that this program does not know"},
        {replaced("\"version\":1", "\"version\":\"1\""), "version that this program does not know"},
        {replaced("\"version\":1", "\"version\":11"), "is not a file of operator keys"},
        {replaced("\"version\":1,", ""), "has no field version"},
        {replaced("\"staker\":null,", ""), "has no field staker"},
        {replaced("\"staker\":null", "\"staker\":null,\"staker\":null"), "the field staker twice"},
        {replaced("\"staker\":null", "\"staker\":\"\""), "is not a file of operator keys"},
        {replaced("\"staker\":null", "\"staker\":\"0011\""), "staker must be null or 16"},
        {replaced("\"staker\":null", "\"staker\":\"00112233445566FF\""), "staker must be null or 16"},
        {replaced("\"staker\":null", "\"staker\":0"), "is not a file of operator keys"},
        {replaced("\"staker\"", "\"stalker\""), "a field that operator keys do not have"},
        {replaced(kVrf, kVrf.substr(1)), "vrf_secret must be 64"},
        {replaced(kVrf, kVrf + "1"), "vrf_secret must be 64"},
        {replaced(kVrf, std::string(63, '1') + "g"), "vrf_secret must be 64"},
        {replaced(kSigning, kSigning.substr(2)), "signing_secret must be 64"},
        {replaced(kSigning, std::string(64, '0')), "signing_secret is zero"},
        {replaced(kSigning, std::string(64, 'f')), "signing_secret is zero or not below the order"},
        {replaced(kSigning, "\\u0032" + kSigning.substr(1)), "is not a file of operator keys"},
    };
    for (const auto& [text, reason] : table) {
        const std::string error = ErrorOf(text);
        EXPECT_THAT(error, HasSubstr(reason)) << text;
        EXPECT_THAT(error, HasSubstr(kPath));
        EXPECT_EQ(error.find(kVrf.substr(0, 20)), std::string::npos);
        EXPECT_EQ(error.find(kSigning.substr(0, 20)), std::string::npos);
    }
}

TEST_F(OperatorKeysTest, TheSizeIsBoundedOnBothSides) {
    std::string text = Text("null");
    text.resize(kMaxOperatorKeyFileBytes, ' ');
    EXPECT_EQ(ErrorOf(text), "");
    EXPECT_THAT(ErrorOf(text + " "), HasSubstr("over the limit of 4096"));
}

TEST_F(OperatorKeysTest, AFileThatOthersCanOpenIsRefusedAndSaysWhatToDo) {
    ASSERT_EQ(ErrorOf(Text("null")), "");
    const auto read = ReadOperatorKeys(files(), kPath, [](const std::string&) -> Result<bool> { return false; });
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(read.error().message, HasSubstr("chmod 600 /keys/staker.json"));
}

TEST_F(OperatorKeysTest, KeysAreNotOverwrittenUnlessThatIsMeant) {
    SeededRandom random(1);
    const OperatorKeyFile first = MakeOperatorKeys(random), second = MakeOperatorKeys(random);
    ASSERT_TRUE(WriteOperatorKeys(files(), kPath, first));
    const Status again = WriteOperatorKeys(files(), kPath, second);
    ASSERT_FALSE(again);
    EXPECT_THAT(again.error().message, HasSubstr("exists"));
    EXPECT_EQ(ReadOperatorKeys(files(), kPath, Always)->VrfPublic(), first.VrfPublic());
    ASSERT_TRUE(WriteOperatorKeys(files(), kPath, second, ExistingFile::kReplace));
    EXPECT_EQ(ReadOperatorKeys(files(), kPath, Always)->VrfPublic(), second.VrfPublic());
}

// On the operating system's own files.
class PrivateFileTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "/sluice-keys-XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        m_folder = name;
        m_path = m_folder + "/staker.json";
    }
    void TearDown() override {
        (void)m_files->Remove(m_path);
        (void)m_files->Remove(m_folder);
    }
    std::unique_ptr<storage::FileSystem> m_files = storage::MakePosixFileSystem();
    std::string m_folder, m_path;
};

TEST_F(PrivateFileTest, KeysAreWrittenForTheirOwnerAloneAlsoOverALeftoverThatIsOpenToAll) {
    SeededRandom random(1);
    ASSERT_TRUE(storage::WriteFileAtomically(*m_files, m_path + ".tmp", AsBytes("leftover")));
    ASSERT_EQ(chmod((m_path + ".tmp").c_str(), 0666), 0);
    ASSERT_TRUE(WriteOperatorKeys(*m_files, m_path, MakeOperatorKeys(random)));
    struct stat info {};
    ASSERT_EQ(stat(m_path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    EXPECT_TRUE(ReadOperatorKeys(*m_files, m_path));
}

TEST_F(PrivateFileTest, EveryPermissionOfGroupAndOthersIsOneTooMany) {
    SeededRandom random(1);
    ASSERT_TRUE(WriteOperatorKeys(*m_files, m_path, MakeOperatorKeys(random)));
    for (const mode_t extra : {S_IRGRP, S_IWGRP, S_IXGRP, S_IROTH, S_IWOTH, S_IXOTH}) {
        ASSERT_EQ(chmod(m_path.c_str(), 0600 | extra), 0);
        const auto read = ReadOperatorKeys(*m_files, m_path);
        ASSERT_FALSE(read);
        EXPECT_THAT(read.error().message, HasSubstr("chmod 600"));
    }
    for (const mode_t good : {0600, 0400}) {
        ASSERT_EQ(chmod(m_path.c_str(), good), 0);
        EXPECT_TRUE(ReadOperatorKeys(*m_files, m_path));
    }
}

TEST_F(PrivateFileTest, AMissingFileIsNamed) {
    const auto read = ReadOperatorKeys(*m_files, m_folder + "/none");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::kNotFound);
    EXPECT_THAT(read.error().message, HasSubstr("/none"));
}

}  // namespace
}  // namespace sluice::node
