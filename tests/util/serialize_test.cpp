#include "util/serialize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "util/random.h"
#include "util/strong_int.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;

enum class Color : uint16_t { kRed = 1, kBlue = 0x1234 };
using Height = StrongInt<struct HeightTag, uint32_t>;
using Id = FixedBytes<4, struct IdTag>;

struct Inner {
    uint8_t a{0};
    bool b{false};
    friend bool operator==(const Inner&, const Inner&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.a, self.b); }
};

struct Everything {
    int8_t i8{0};
    uint16_t u16{0};
    int32_t i32{0};
    uint64_t u64{0};
    Color color{};
    Height height;
    Id id;
    std::string text;
    Bytes data;
    std::vector<Inner> list;
    std::optional<uint16_t> none, some;
    friend bool operator==(const Everything&, const Everything&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.i8, self.u16, self.i32, self.u64, self.color, self.height, self.id);
        archive.VarBytes(self.text, 10);
        archive.VarBytes(self.data, 300);
        archive.Vector(self.list, 3, 2);
        archive.Optional(self.none);
        archive.Optional(self.some);
    }
};

Everything Example() {
    return {-2,
            0x0102,
            -1,
            0x0102030405060708,
            Color::kBlue,
            Height(7),
            *Id::FromHex("aabbccdd"),
            "hi",
            {9},
            {{1, true}, {2, false}},
            std::nullopt,
            0x0304};
}

template <class T>
std::string ErrorOf(ByteSpan bytes) {
    const auto decoded = Decode<T>(bytes);
    return decoded ? "no error" : decoded.error().message;
}

// A length-prefixed text and a vector, each with a limit of 300.
struct Text {
    std::string value;
    static void Serialize(auto& self, auto& archive) { archive.VarBytes(self.value, 300); }
};
struct Shorts {
    std::vector<uint16_t> value;
    static void Serialize(auto& self, auto& archive) { archive.Vector(self.value, 300, 2); }
};
struct Flag {
    bool value{false};
    static void Serialize(auto& self, auto& archive) { archive(self.value); }
};
struct Maybe {
    std::optional<uint8_t> value;
    static void Serialize(auto& self, auto& archive) { archive.Optional(self.value); }
};

TEST(Serialize, EncodingIsFrozen) {
    EXPECT_EQ(HexEncode(Encode(Example())),
              "fe"
              "0201"
              "ffffffff"
              "0807060504030201"
              "3412"
              "07000000"
              "aabbccdd"
              "026869"
              "0109"
              "02"
              "0101"
              "0200"
              "00"
              "010403");
}

TEST(Serialize, DecodesWhatItEncodes) {
    const auto decoded = Decode<Everything>(Encode(Example()));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, Example());
}

TEST(Serialize, EveryTruncationAndAnythingAfterTheEndIsAnError) {
    Bytes bytes = Encode(Example());
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(Decode<Everything>(ByteSpan(bytes).first(size))) << size;
    bytes.push_back(0);
    EXPECT_EQ(ErrorOf<Everything>(bytes), "1 bytes follow the end of the data");
}

TEST(Serialize, RandomBytesThatDecodeEncodeToThemselves) {
    SeededRandom random(3);
    const Bytes good = Encode(Example());
    int decoded_count = 0;
    for (int i = 0; i < 20'000; ++i) {
        Bytes bytes = good;
        bytes[random.Below(bytes.size())] = static_cast<uint8_t>(random.Below(256));
        bytes[random.Below(bytes.size())] = static_cast<uint8_t>(random.Below(256));
        const auto decoded = Decode<Everything>(bytes);
        if (!decoded) continue;
        ++decoded_count;
        ASSERT_EQ(Encode(*decoded), bytes);
    }
    EXPECT_GT(decoded_count, 1000);
}

TEST(Serialize, CompactSizeHasOneFormForEachValue) {
    const struct {
        uint64_t value;
        const char* hex;
    } kTable[] = {
        {0, "00"},
        {252, "fc"},
        {253, "fdfd00"},
        {0xffff, "fdffff"},
        {0x10000, "fe00000100"},
        {0xffffffff, "feffffffff"},
        {0x100000000, "ff0000000001000000"},
        {UINT64_MAX, "ffffffffffffffffff"},
    };
    for (const auto& row : kTable) {
        Writer writer;
        writer.CompactSize(row.value);
        EXPECT_EQ(HexEncode(writer.bytes()), row.hex);
        Reader reader(writer.bytes());
        EXPECT_EQ(reader.CompactSize(), row.value);
        EXPECT_TRUE(reader.Ok());
        EXPECT_EQ(reader.Left(), 0u);
    }
    for (const char* longer :
         {"fd0000", "fdfc00", "fe00000000", "feffff0000", "ff0000000000000000", "ffffffffff00000000"}) {
        const Bytes bytes = *HexDecode(longer);
        Reader reader(bytes);
        EXPECT_EQ(reader.CompactSize(), 0u) << longer;
        EXPECT_EQ(reader.error(), "a length is not in its shortest form");
    }
    for (const char* cut : {"", "fd", "fdff", "feffffff", "ffffffffffffffff"}) {
        const Bytes bytes = *HexDecode(cut);
        Reader reader(bytes);
        reader.CompactSize();
        EXPECT_FALSE(reader.Ok()) << cut;
    }
}

TEST(Serialize, TextIsBoundedByItsLimitAndByTheBytesLeft) {
    const auto text_of = [](size_t size) {
        Writer writer;
        writer.CompactSize(size);
        writer.Raw(Bytes(size, 'x'));
        return writer.Take();
    };
    EXPECT_EQ(Decode<Text>(text_of(300))->value.size(), 300u);
    EXPECT_EQ(ErrorOf<Text>(text_of(301)), "a length of 301 is over the limit of 300");
    Bytes cut = text_of(300);
    cut.pop_back();
    EXPECT_EQ(ErrorOf<Text>(cut), "the data ends early");
    EXPECT_THAT(ErrorOf<Text>(*HexDecode("ffffffffffffffffff")), HasSubstr("over the limit"));
}

TEST(Serialize, AVectorsCountIsBoundedByItsLimitAndByTheBytesLeft) {
    const auto shorts_of = [](uint64_t count, size_t bytes) {
        Writer writer;
        writer.CompactSize(count);
        writer.Raw(Bytes(bytes));
        return writer.Take();
    };
    EXPECT_EQ(Decode<Shorts>(shorts_of(300, 600))->value.size(), 300u);
    EXPECT_EQ(ErrorOf<Shorts>(shorts_of(301, 602)), "a count of 301 is over the limit of 300");
    EXPECT_EQ(ErrorOf<Shorts>(shorts_of(300, 599)), "a count of 300 does not fit in the bytes left");
    EXPECT_EQ(Decode<Shorts>(shorts_of(0, 0))->value.size(), 0u);
    EXPECT_THAT(ErrorOf<Shorts>(*HexDecode("ffffffffffffffffff")), HasSubstr("over the limit"));
}

TEST(Serialize, FlagsAreZeroOrOne) {
    EXPECT_TRUE(Decode<Flag>(Bytes{1})->value);
    EXPECT_FALSE(Decode<Flag>(Bytes{0})->value);
    EXPECT_EQ(ErrorOf<Flag>(Bytes{2}), "a flag is neither 0 nor 1");
    EXPECT_EQ(ErrorOf<Flag>(Bytes{255}), "a flag is neither 0 nor 1");
    EXPECT_EQ(Decode<Maybe>(Bytes{0})->value, std::nullopt);
    EXPECT_EQ(Decode<Maybe>(Bytes{1, 5})->value, 5);
    EXPECT_EQ(ErrorOf<Maybe>(Bytes{2, 5}), "a flag is neither 0 nor 1");
    EXPECT_EQ(ErrorOf<Maybe>(Bytes{1}), "the data ends early");
}

TEST(Serialize, AReaderKeepsItsFirstErrorAndReadsZerosAfterIt) {
    const Bytes bytes{7, 7, 7, 7, 7};
    Reader reader(bytes);
    EXPECT_EQ(reader.Integer<uint8_t>(), 7);
    reader.SetError("first");
    reader.SetError("second");
    EXPECT_EQ(reader.error(), "first");
    EXPECT_EQ(reader.Integer<uint32_t>(), 0u);
    EXPECT_EQ(reader.CompactSize(), 0u);
    EXPECT_TRUE(reader.VarSpan(10).empty());
    EXPECT_TRUE(reader.Take(1).empty());
    EXPECT_EQ(reader.Left(), 0u);
    EXPECT_EQ(reader.error(), "first");
}

TEST(Serialize, TakeAndRestAreViewsOfTheInput) {
    const Bytes bytes{1, 2, 3};
    Reader reader(bytes);
    EXPECT_EQ(reader.Take(1).data(), bytes.data());
    EXPECT_EQ(reader.Rest().data(), bytes.data() + 1);
    EXPECT_TRUE(reader.Take(0).empty());
    EXPECT_EQ(reader.Take(2).size(), 2u);
    EXPECT_TRUE(reader.Ok());
    EXPECT_TRUE(reader.Take(1).empty());
    EXPECT_FALSE(reader.Ok());
}

TEST(SerializeDeathTest, WritingOverALimitIsABugOfOurOwn) {
    Writer writer;
    writer.VarBytes(std::string(10, 'x'), 10);
    EXPECT_DEATH(writer.VarBytes(std::string(11, 'x'), 10), "internal error: CHECK");
    EXPECT_DEATH(writer.Vector(std::vector<uint8_t>(2), 1), "internal error: CHECK");
}

}  // namespace
}  // namespace sluice
