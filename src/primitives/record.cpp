#include "primitives/record.h"

namespace sluice {
namespace {

// Writes the fields of a record. A default value is left out of an optional field.
class FieldWriter {
  public:
    explicit FieldWriter(Writer& out) : m_out(out) {}

    template <class T>
    void Required(uint8_t tag, const T& value) {
        Put(tag, Encode(value));
    }
    template <class T>
    void Optional(uint8_t tag, const std::optional<T>& value) {
        if (value) Put(tag, Encode(*value));
    }
    template <class T>
    void NonZero(uint8_t tag, const T& value) {
        if (!(value == T{})) Put(tag, Encode(value));
    }
    template <class Container>
    void Blob(uint8_t tag, const Container& bytes, size_t limit) {
        CHECK(bytes.size() <= limit);
        if (!bytes.empty()) Put(tag, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    }
    template <class Container>
    void RequiredBlob(uint8_t tag, const Container& bytes, size_t limit) {
        Blob(tag, bytes, limit);
    }
    template <class T>
    void List(uint8_t tag, const std::vector<T>& elements, size_t limit) {
        if (elements.empty()) return;
        Writer value;
        value.Vector(elements, limit);
        Put(tag, value.bytes());
    }
    template <class T>
    void RequiredList(uint8_t tag, const std::vector<T>& elements, size_t limit) {
        List(tag, elements, limit);
    }
    void Texts(uint8_t tag, const std::vector<std::string>& texts, size_t limit, size_t text_limit) {
        if (texts.empty()) return;
        CHECK(texts.size() <= limit);
        Writer value;
        value.CompactSize(texts.size());
        for (const std::string& text : texts) value.VarBytes(text, text_limit);
        Put(tag, value.bytes());
    }

  private:
    void Put(uint8_t tag, ByteSpan value) {
        m_out(tag);
        m_out.CompactSize(value.size());
        m_out.Raw(value);
    }

    Writer& m_out;
};

// Reads the fields of a record in the order of their tags; keeps the first error.
class FieldReader {
  public:
    explicit FieldReader(ByteSpan bytes) : m_in(bytes) { Advance(); }

    template <class T>
    void Required(uint8_t tag, T& value) {
        if (auto bytes = Value(tag)) return Parse(tag, *bytes, value);
        Missing(tag);
    }
    template <class T>
    void Optional(uint8_t tag, std::optional<T>& value) {
        if (auto bytes = Value(tag)) Parse(tag, *bytes, value.emplace());
    }
    template <class T>
    void NonZero(uint8_t tag, T& value) {
        if (auto bytes = Value(tag)) {
            Parse(tag, *bytes, value);
            if (value == T{}) SetError(tag, "is zero and must then be left out");
        }
    }
    template <class Container>
    void Blob(uint8_t tag, Container& into, size_t limit) {
        const auto bytes = Value(tag);
        if (!bytes) return;
        if (bytes->empty()) return SetError(tag, "is empty and must then be left out");
        if (bytes->size() > limit) return SetError(tag, "is longer than " + std::to_string(limit) + " bytes");
        into.assign(bytes->begin(), bytes->end());
    }
    template <class Container>
    void RequiredBlob(uint8_t tag, Container& into, size_t limit) {
        Blob(tag, into, limit);
        if (into.empty()) Missing(tag);
    }
    template <class T>
    void List(uint8_t tag, std::vector<T>& into, size_t limit) {
        const auto bytes = Value(tag);
        if (!bytes) return;
        Reader reader(*bytes);
        reader.Vector(into, limit, Encode(T{}).size());
        if (!reader.Ok()) return SetError(tag, "does not decode: " + reader.error());
        if (reader.Left() != 0) return SetError(tag, "is longer than its elements");
        if (into.empty()) SetError(tag, "is empty and must then be left out");
    }
    template <class T>
    void RequiredList(uint8_t tag, std::vector<T>& into, size_t limit) {
        List(tag, into, limit);
        if (into.empty()) Missing(tag);
    }
    void Texts(uint8_t tag, std::vector<std::string>& into, size_t limit, size_t text_limit) {
        const auto bytes = Value(tag);
        if (!bytes) return;
        Reader reader(*bytes);
        const uint64_t count = reader.CompactSize();
        if (count == 0 || count > limit) return SetError(tag, "does not have 1 to " + std::to_string(limit) + " texts");
        for (uint64_t i = 0; i < count && reader.Ok(); ++i) {
            reader.VarBytes(into.emplace_back(), text_limit);
            if (into.back().empty()) reader.SetError("a text is empty");
        }
        if (!reader.Ok()) return SetError(tag, "does not decode: " + reader.error());
        if (reader.Left() != 0) SetError(tag, "is longer than its texts");
    }

    // The error, with what was left over counted as one.
    std::string Finish() {
        if (m_error.empty() && m_tag != 0) SetError(m_tag, "is unknown or out of order");
        return m_error;
    }

  private:
    void Advance() {
        m_tag = 0;
        if (m_in.Left() == 0) return;
        const uint8_t tag = m_in.Integer<uint8_t>();
        m_value = m_in.VarSpan(kMaxRecordBytes);
        if (!m_in.Ok()) return SetError(tag, "does not decode: " + m_in.error());
        if (tag == 0) return SetError(tag, "is unknown");
        m_tag = tag;
    }
    std::optional<ByteSpan> Value(uint8_t tag) {
        if (!m_error.empty() || m_tag != tag) return std::nullopt;
        const ByteSpan value = m_value;
        Advance();
        return value;
    }
    template <class T>
    void Parse(uint8_t tag, ByteSpan bytes, T& value) {
        auto decoded = Decode<T>(bytes);
        if (!decoded) return SetError(tag, "does not decode: " + decoded.error().message);
        value = std::move(*decoded);
    }
    void Missing(uint8_t tag) { SetError(tag, "is missing"); }
    void SetError(uint8_t tag, const std::string& what) {
        if (m_error.empty()) m_error = "field " + std::to_string(tag) + " " + what;
    }

    Reader m_in;
    uint8_t m_tag{0};
    ByteSpan m_value;
    std::string m_error;
};

template <class T>
Result<Record> DecodeAs(ByteSpan fields) {
    T record;
    FieldReader reader(fields);
    T::Fields(record, reader);
    if (const std::string error = reader.Finish(); !error.empty()) return Fail(error);
    return Record(std::move(record));
}

}  // namespace

Bytes EncodeRecord(const Record& record) {
    Writer writer;
    std::visit(
        [&](const auto& typed) {
            writer(typed.kType);
            FieldWriter fields(writer);
            typed.Fields(typed, fields);
        },
        record);
    return writer.Take();
}

Result<Record> DecodeRecord(ByteSpan bytes) {
    if (bytes.empty()) return Fail("the record is empty");
    if (bytes.size() > kMaxRecordBytes)
        return Fail("the record has " + std::to_string(bytes.size()) + " bytes, the limit is " +
                    std::to_string(kMaxRecordBytes));
    const ByteSpan fields = bytes.subspan(1);
    switch (static_cast<RecordType>(bytes[0])) {
        case RecordType::kPublish:
            return DecodeAs<PublishRecord>(fields);
        case RecordType::kPurchase:
            return DecodeAs<PurchaseRecord>(fields);
        case RecordType::kGrant:
            return DecodeAs<GrantRecord>(fields);
        case RecordType::kChannel:
            return DecodeAs<ChannelRecord>(fields);
        case RecordType::kSettle:
            return DecodeAs<SettleRecord>(fields);
        case RecordType::kRegister:
            return DecodeAs<RegisterRecord>(fields);
        case RecordType::kExit:
            return DecodeAs<ExitRecord>(fields);
        case RecordType::kEvidence:
            return DecodeAs<EvidenceRecord>(fields);
        case RecordType::kGift:
            return DecodeAs<GiftRecord>(fields);
    }
    return Fail("the record type " + std::to_string(bytes[0]) + " is unknown");
}

std::string_view RecordTypeName(const Record& record) {
    static constexpr std::string_view kNames[] = {"publish",  "purchase", "grant",    "channel", "settle",
                                                  "register", "exit",     "evidence", "gift"};
    return kNames[record.index()];
}

}  // namespace sluice
