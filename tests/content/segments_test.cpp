#include "content/segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "primitives/record.h"

namespace sluice::content {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> PathsOf(const Manifest& manifest) {
    std::vector<std::string> paths;
    for (const ManifestEntry& entry : manifest.entries) paths.push_back(entry.path);
    return paths;
}

TEST(Glob, StarsStopAtSlashesAndDoubleStarsDoNot) {
    struct Case {
        const char* pattern;
        const char* path;
        bool fits;
    };
    for (const auto& [pattern, path, fits] : {Case{"*.mp3", "a.mp3", true},
                                              {"*.mp3", "a/b.mp3", false},
                                              {"**.mp3", "a/b.mp3", true},
                                              {"**/b.mp3", "a/c/b.mp3", true},
                                              {"a/*/c", "a/b/c", true},
                                              {"a/*/c", "a/b/b/c", false},
                                              {"a/**/c", "a/b/b/c", true},
                                              {"?.x", "a.x", true},
                                              {"?.x", "/.x", false},
                                              {"?.x", ".x", false},
                                              {"*", "", true},
                                              {"", "", true},
                                              {"", "a", false},
                                              {"a*b*c", "a1b2b3c", true},
                                              {"a*b*c", "a1b2b3d", false},
                                              {"**a*b", "x/a/ay/a1b", true},
                                              {"abc", "ab", false}}) {
        EXPECT_EQ(MatchesGlob(pattern, path), fits) << pattern << " " << path;
    }
}

TEST(Segments, EachRuleTakesItsFilesOneAfterTheOtherAndTheRestIsNotSoldAlone) {
    const Manifest manifest{
        {{"a.mp3", 10}, {"b.txt", kSliceBytes}, {"c.mp3", kSliceBytes + 1}, {"d/e.txt", 1}, {"z", 0}}};
    const auto divided = DivideFolder(manifest, {{"*.mp3", Amount(5)}, {"d/", Amount(7)}});
    ASSERT_TRUE(divided) << divided.error().message;
    EXPECT_THAT(PathsOf(divided->manifest), ElementsAre("a.mp3", "c.mp3", "d/e.txt", "b.txt", "z"));
    EXPECT_THAT(divided->prices, ElementsAre(Amount(5), Amount(7), Amount(0)));
    EXPECT_THAT(divided->first_slices, ElementsAre(0, 2, 3));
    std::vector<bool> aligned;
    for (const ManifestEntry& entry : divided->manifest.entries) aligned.push_back(entry.aligned);
    EXPECT_THAT(aligned, ElementsAre(true, false, true, true, false));
    EXPECT_EQ(divided->manifest.Offsets()[1], 10u);  // files of one segment are not torn apart
}

TEST(Segments, AFileBelongsToTheFirstRuleThatNamesIt) {
    const Manifest manifest{{{"a", 1}, {"b", 1}}};
    const auto divided = DivideFolder(manifest, {{"a", Amount(5)}, {"*", Amount(7)}});
    ASSERT_TRUE(divided);
    EXPECT_THAT(divided->prices, ElementsAre(Amount(5), Amount(7)));
    EXPECT_THAT(DivideFolder(manifest, {{"*", Amount(5)}, {"a", Amount(7)}}).error().message, HasSubstr("'a'"));
}

TEST(Segments, ASegmentWithoutAByteIsRefused) {
    EXPECT_THAT(DivideFolder({{{"a", 1}, {"b", 0}}}, {{"b", Amount(5)}}).error().message, HasSubstr("'b'"));
    EXPECT_THAT(DivideFolder({{{"a", 1}}}, {{"none", Amount(5)}}).error().message, HasSubstr("'none'"));
}

TEST(Segments, ThereAreAtMost64) {
    Manifest manifest;
    for (int i = 0; i < static_cast<int>(kMaxSegments); ++i) manifest.entries.push_back({"f" + std::to_string(i), 1});
    const auto most = DividePerFile(manifest, Amount(3));
    ASSERT_TRUE(most);
    EXPECT_EQ(most->first_slices.size(), kMaxSegments);
    manifest.entries.push_back({"one more", 1});
    EXPECT_THAT(DividePerFile(manifest, Amount(3)).error().message, HasSubstr("limit of 64"));
}

TEST(Segments, FilesWithoutBytesMakeNoSegment) {
    const auto divided = DividePerFile({{{"a", 0}, {"b", 1}, {"c", 0}, {"d", 1}}}, Amount(3));
    ASSERT_TRUE(divided) << divided.error().message;
    EXPECT_THAT(divided->first_slices, ElementsAre(0, 1));
    const auto all = DivideFolder({{{"a", 0}, {"b", 1}}}, {{"b", Amount(3)}});
    ASSERT_TRUE(all) << all.error().message;
    EXPECT_THAT(all->prices, ElementsAre(Amount(3)));
    EXPECT_THAT(PathsOf(all->manifest), ElementsAre("b", "a"));
}

}  // namespace
}  // namespace sluice::content
