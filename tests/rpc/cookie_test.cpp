#include "rpc/cookie.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "storage/memory_disk.h"

namespace sluice::rpc {
namespace {

TEST(CookieTest, IsReadBackAndRemovedAtItsEnd) {
    storage::MemoryDisk disk(1);
    SeededRandom random(1);
    {
        const auto cookie = Cookie::Write(disk.files(), random, "/.cookie");
        ASSERT_TRUE(cookie);
        EXPECT_EQ(cookie->credentials().size(), std::string("__cookie__:").size() + 64);
        EXPECT_EQ(*ReadCookie(disk.files(), "/.cookie"), cookie->credentials());
    }
    const auto gone = ReadCookie(disk.files(), "/.cookie");
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().kind, ErrorKind::kNotFound);
}

TEST(CookieTest, EachStartHasItsOwn) {
    storage::MemoryDisk disk(1);
    SeededRandom random(1);
    const std::string first = Cookie::Write(disk.files(), random, "/.cookie")->credentials();
    EXPECT_NE(Cookie::Write(disk.files(), random, "/.cookie")->credentials(), first);
}

TEST(CookieTest, OnlyTheOwnerMayReadTheFile) {
    char folder[] = "/tmp/sluice-cookie-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const auto files = storage::MakePosixFileSystem();
    SystemRandom random;
    const std::string path = std::string(folder) + "/.cookie";
    {
        const auto cookie = Cookie::Write(*files, random, path);
        ASSERT_TRUE(cookie);
        struct stat info {};
        ASSERT_EQ(stat(path.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, 0600u);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    std::filesystem::remove_all(folder);
}

TEST(CookieTest, AForeignFileIsNotACookie) {
    storage::MemoryDisk disk(1);
    ASSERT_TRUE(storage::WriteFileAtomically(disk.files(), "/.cookie", AsBytes("user:password")));
    EXPECT_FALSE(ReadCookie(disk.files(), "/.cookie"));
}

// RFC 4648, section 10.
TEST(CookieTest, Base64HasTheStandardsVectors) {
    const std::pair<const char*, const char*> table[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : table) EXPECT_EQ(Base64Encode(bytes), text);
    EXPECT_EQ(Base64Encode("\xff\xff\xfe"), "///+");
}

TEST(CookieTest, AuthorisationTakesTheExactCredentialsOnly) {
    const std::string credentials = "__cookie__:00ff";
    const std::string good = Base64Encode(credentials);
    EXPECT_TRUE(IsAuthorised("Basic " + good, credentials));
    EXPECT_TRUE(IsAuthorised("bAsIc  " + good + " ", credentials));
    for (const std::string& bad :
         {std::string(), std::string("Basic"), std::string("Basic "), good, "Bearer " + good, "Basic " + good + "x",
          "Basic " + good.substr(1), "Basic " + Base64Encode("__cookie__:00fe"),
          "Basic " + Base64Encode("__cookie__:00f"), "Basic " + credentials})
        EXPECT_FALSE(IsAuthorised(bad, credentials)) << bad;
    EXPECT_FALSE(IsAuthorised("Basic ", ""));
}

TEST(CookieTest, ConstantTimeComparisonIsEquality) {
    EXPECT_TRUE(EqualInConstantTime("", ""));
    EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
    for (const char* other : {"abd", "bbc", "ab", "abcd", ""}) EXPECT_FALSE(EqualInConstantTime("abc", other));
}

}  // namespace
}  // namespace sluice::rpc
