#include "rpc/content_url.h"

#include <gtest/gtest.h>

namespace sluice::rpc {
namespace {

const std::string kClaim = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const std::string kToken = std::string(64, 'a');

TEST(ContentUrl, EveryFormIsReadAndWrittenBack) {
    ContentTarget target{"", kClaim, "", ""};
    EXPECT_EQ(FormatContentTarget(target), "/content/" + kClaim);
    for (const std::string path : {"", "a.mp4", "season 1/\xc3\xa4 & b?#%.mkv", "a/b/", "~x/..y/z.", "a+b;c=d"}) {
        for (const std::string token : {"", kToken.c_str()}) {
            for (const std::string after : {"", "b/c d&e"}) {
                const ContentTarget one{token, kClaim, path, after};
                const auto read = ParseContentTarget(FormatContentTarget(one));
                ASSERT_TRUE(read) << FormatContentTarget(one);
                EXPECT_EQ(read->token, token);
                EXPECT_EQ(read->claim, kClaim);
                EXPECT_EQ(read->path, path);
                EXPECT_EQ(read->after, after);
            }
        }
    }
}

TEST(ContentUrl, AClaimMayBeAPrefixInEitherCase) {
    EXPECT_EQ(ParseContentTarget("/content/AABBCC")->claim, "aabbcc");
    EXPECT_EQ(ParseContentTarget("/content/aabbcc/")->path, "");
    EXPECT_FALSE(ParseContentTarget("/content/aabbc"));
    EXPECT_FALSE(ParseContentTarget("/content/aabbcg"));
    EXPECT_FALSE(ParseContentTarget("/content/" + kClaim + "0"));
}

TEST(ContentUrl, PathsThatLeaveTheFolderOrHideSomethingAreRefused) {
    for (const char* path : {"..", "../x", "a/../b", "a/..", "./a", "a/.", "a//b", "/a", "%2e%2e/x", "a/%2E%2E",
                             "a%2Fb", "a%00b", "a%", "a%2", "a%zz", "%2e/a"})
        EXPECT_FALSE(ParseContentTarget("/content/" + kClaim + "/" + path)) << path;
    EXPECT_TRUE(ParseContentTarget("/content/" + kClaim + "/...")) << "a strange name, and a good one";
}

TEST(ContentUrl, WhatIsNoSuchUrlIsNotFound) {
    for (const std::string& target :
         {std::string(""), std::string("/"), std::string("*"), "content/" + kClaim, "/Content/" + kClaim,
          "/contents/" + kClaim, "http://127.0.0.1/content/" + kClaim, "/t/abc/content/" + kClaim,
          "/t/" + kToken + kClaim, "/t/" + std::string(64, 'g') + "/content/" + kClaim, "/t/" + kToken,
          "/content/" + kClaim + "/" + std::string(kMaxTargetBytes, 'a')}) {
        const auto read = ParseContentTarget(target);
        ASSERT_FALSE(read) << target.substr(0, 100);
        EXPECT_EQ(read.error().kind, ErrorKind::kNotFound);
    }
}

TEST(ContentUrl, TypesComeFromTheRecordAndElseFromTheName) {
    EXPECT_EQ(MediaTypeFor("video/mp4", "x.bin"), "video/mp4");
    EXPECT_EQ(MediaTypeFor("Video/MP4", "x"), "video/mp4");
    EXPECT_EQ(MediaTypeFor("", "a/film.MKV"), "video/x-matroska");
    EXPECT_EQ(MediaTypeFor("", "film.mp4"), "video/mp4");
    EXPECT_EQ(MediaTypeFor("", "mp4"), "application/octet-stream");
    EXPECT_EQ(MediaTypeFor("", "a.mp4/b"), "application/octet-stream");
    EXPECT_EQ(MediaTypeOf("x.aac"), "audio/aac");
    EXPECT_EQ(MediaTypeOf("x.zip"), "application/zip");
}

TEST(ContentUrl, APublishedTypeCannotAddHeaderFields) {
    for (const char* mime :
         {"text/html\r\nX: y", "text/html; charset=utf-8", "text", "/html", "text/", "a b/c", "a/b/c", "text/\xc3\xa4"})
        EXPECT_EQ(MediaTypeFor(mime, "x.txt"), "text/plain") << mime;
    EXPECT_EQ(MediaTypeFor(std::string(100, 'a') + "/b", "x.txt"), "text/plain");
}

TEST(ContentUrl, WhatABrowserWouldRunIsAnActiveDocument) {
    for (const char* type : {"text/html", "application/xhtml+xml", "image/svg+xml", "application/xml", "text/xml",
                             "application/pdf", "multipart/related"})
        EXPECT_TRUE(IsActiveDocument(type)) << type;
    for (const char* type : {"video/mp4", "text/plain", "image/png", "application/json", "application/octet-stream"})
        EXPECT_FALSE(IsActiveDocument(type)) << type;
}

TEST(ContentUrl, ANameInADispositionCannotEndItsQuotes) {
    EXPECT_EQ(InlineDisposition("a.mp4"), "inline; filename=\"a.mp4\"; filename*=UTF-8''a.mp4");
    EXPECT_EQ(InlineDisposition("x/a\"b\r\n\xc3\xa4%.txt"),
              "inline; filename=\"a_b_____.txt\"; filename*=UTF-8''a%22b%0D%0A%C3%A4%25.txt");
    EXPECT_EQ(InlineDisposition(""), "inline");
}

}  // namespace
}  // namespace sluice::rpc
