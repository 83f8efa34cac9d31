#include "crypto/edwards25519.h"

#include <algorithm>
#include <vector>

namespace sluice::crypto {
namespace {

using Fe = FieldElement;
__extension__ using Uint128 = unsigned __int128;

constexpr uint64_t kLimbMask = (uint64_t{1} << 51) - 1;

constexpr Fe kZero{};
constexpr Fe kOne{{1}};
constexpr Fe kD{
    {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};  // -121665/121666
constexpr Fe k2D{{0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
constexpr Fe kSqrtOfMinusOne{{0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};

// ---- The field. Limbs of a "reduced" element are below 2^51 + 2^15, those of a sum of two reduced ones below 2^53.
// Multiplication and subtraction take either and give a reduced one.

Fe Carry(const Fe& element) {
    const auto& a = element.limbs;
    return {{(a[0] & kLimbMask) + 19 * (a[4] >> 51), (a[1] & kLimbMask) + (a[0] >> 51),
             (a[2] & kLimbMask) + (a[1] >> 51), (a[3] & kLimbMask) + (a[2] >> 51), (a[4] & kLimbMask) + (a[3] >> 51)}};
}

// Not reduced; the terms must be.
Fe operator+(const Fe& left, const Fe& right) {
    const auto &a = left.limbs, &b = right.limbs;
    return {{a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4]}};
}

Fe operator-(const Fe& left, const Fe& right) {
    const auto &a = left.limbs, &b = right.limbs;
    constexpr uint64_t kFirst = 4 * (kLimbMask - 18), kOther = 4 * kLimbMask;  // 4p keeps every limb positive
    return Carry({{a[0] + kFirst - b[0], a[1] + kOther - b[1], a[2] + kOther - b[2], a[3] + kOther - b[3],
                   a[4] + kOther - b[4]}});
}

Fe Reduce(Uint128 r0, Uint128 r1, Uint128 r2, Uint128 r3, Uint128 r4) {
    Fe result;
    auto& v = result.limbs;
    r1 += static_cast<uint64_t>(r0 >> 51);
    r2 += static_cast<uint64_t>(r1 >> 51);
    r3 += static_cast<uint64_t>(r2 >> 51);
    r4 += static_cast<uint64_t>(r3 >> 51);
    v[0] = (static_cast<uint64_t>(r0) & kLimbMask) + 19 * static_cast<uint64_t>(r4 >> 51);
    v[1] = (static_cast<uint64_t>(r1) & kLimbMask) + (v[0] >> 51);
    v[0] &= kLimbMask;
    v[2] = static_cast<uint64_t>(r2) & kLimbMask;
    v[3] = static_cast<uint64_t>(r3) & kLimbMask;
    v[4] = static_cast<uint64_t>(r4) & kLimbMask;
    return result;
}

Fe operator*(const Fe& left, const Fe& right) {
    const auto& a = left.limbs;
    const auto& b = right.limbs;
    const auto m = [](uint64_t x, uint64_t y) { return static_cast<Uint128>(x) * y; };
    const uint64_t b1 = 19 * b[1], b2 = 19 * b[2], b3 = 19 * b[3], b4 = 19 * b[4];
    return Reduce(m(a[0], b[0]) + m(a[1], b4) + m(a[2], b3) + m(a[3], b2) + m(a[4], b1),
                  m(a[0], b[1]) + m(a[1], b[0]) + m(a[2], b4) + m(a[3], b3) + m(a[4], b2),
                  m(a[0], b[2]) + m(a[1], b[1]) + m(a[2], b[0]) + m(a[3], b4) + m(a[4], b3),
                  m(a[0], b[3]) + m(a[1], b[2]) + m(a[2], b[1]) + m(a[3], b[0]) + m(a[4], b4),
                  m(a[0], b[4]) + m(a[1], b[3]) + m(a[2], b[2]) + m(a[3], b[1]) + m(a[4], b[0]));
}

Fe Square(const Fe& element) {
    const auto& a = element.limbs;
    const auto m = [](uint64_t x, uint64_t y) { return static_cast<Uint128>(x) * y; };
    const uint64_t a0 = 2 * a[0], a1 = 2 * a[1], a3 = 19 * a[3], a4 = 19 * a[4];
    return Reduce(m(a[0], a[0]) + m(a1, a4) + m(2 * a[2], a3), m(a0, a[1]) + m(2 * a[2], a4) + m(a[3], a3),
                  m(a0, a[2]) + m(a[1], a[1]) + m(2 * a[3], a4), m(a0, a[3]) + m(a1, a[2]) + m(a[4], a4),
                  m(a0, a[4]) + m(a1, a[3]) + m(a[2], a[2]));
}

Fe SquareTimes(Fe a, int times) {
    for (int i = 0; i < times; ++i) a = Square(a);
    return a;
}

// a^(2^250 - 1), from which both powers below follow; also a^11.
struct LongPower {
    explicit LongPower(const Fe& a) {
        const Fe a2 = Square(a);
        const Fe a9 = SquareTimes(a2, 2) * a;
        eleven = a9 * a2;
        const Fe a5 = Square(eleven) * a9;  // from here on, aN = a^(2^N - 1)
        const Fe a10 = SquareTimes(a5, 5) * a5;
        const Fe a20 = SquareTimes(a10, 10) * a10;
        const Fe a40 = SquareTimes(a20, 20) * a20;
        const Fe a50 = SquareTimes(a40, 10) * a10;
        const Fe a100 = SquareTimes(a50, 50) * a50;
        const Fe a200 = SquareTimes(a100, 100) * a100;
        power = SquareTimes(a200, 50) * a50;
    }
    Fe eleven, power;
};

// a^(p - 2)
Fe Invert(const Fe& a) {
    const LongPower longest(a);
    return SquareTimes(longest.power, 5) * longest.eleven;
}

// a^((p - 5) / 8)
Fe RootPower(const Fe& a) { return SquareTimes(LongPower(a).power, 2) * a; }

Fe FromBytes(const std::array<uint8_t, 32>& bytes) {
    const auto word = [&](size_t offset) {
        uint64_t result = 0;
        for (size_t i = 0; i < 8; ++i) result |= uint64_t{bytes[offset + i]} << (8 * i);
        return result;
    };
    return {{word(0) & kLimbMask, (word(6) >> 3) & kLimbMask, (word(12) >> 6) & kLimbMask, (word(19) >> 1) & kLimbMask,
             (word(24) >> 12) & kLimbMask}};
}

// The canonical encoding: below p, little-endian.
std::array<uint8_t, 32> ToBytes(const Fe& element) {
    Fe a = element;
    auto& v = a.limbs;
    for (int round = 0; round < 2; ++round) {
        for (size_t i = 0; i < 4; ++i) {
            v[i + 1] += v[i] >> 51;
            v[i] &= kLimbMask;
        }
        v[0] += 19 * (v[4] >> 51);
        v[4] &= kLimbMask;
    }
    // 1 if a >= p, which is when a + 19 reaches 2^255.
    uint64_t quotient = (v[0] + 19) >> 51;
    for (size_t i = 1; i < 5; ++i) quotient = (v[i] + quotient) >> 51;
    v[0] += 19 * quotient;
    for (size_t i = 0; i < 4; ++i) {
        v[i + 1] += v[i] >> 51;
        v[i] &= kLimbMask;
    }
    v[4] &= kLimbMask;
    std::array<uint8_t, 32> result{};
    for (size_t bit = 0; bit < 255; bit += 51) {
        const uint64_t limb = v[bit / 51];
        for (size_t i = 0; i < 8; ++i) {
            const size_t byte = bit / 8 + i;
            if (byte >= 32) break;
            result[byte] |= static_cast<uint8_t>((i == 0 ? limb << (bit % 8) : limb >> (8 * i - bit % 8)) & 0xff);
        }
    }
    return result;
}

bool IsZero(const Fe& a) { return ToBytes(a) == std::array<uint8_t, 32>{}; }
bool Equal(const Fe& a, const Fe& b) { return IsZero(a - b); }
bool IsOdd(const Fe& a) { return (ToBytes(a)[0] & 1) != 0; }

// ---- The group.

const EdwardsPoint kIdentity{kZero, kOne, kOne, kZero};

// A point ready to be added: Y + X, Y - X, 2Z, 2dT.
struct Addend {
    explicit Addend(const EdwardsPoint& p) : plus(p.y + p.x), minus(p.y - p.x), z2(p.z + p.z), t2d(p.t * k2D) {}
    Fe plus, minus, z2, t2d;
};

// The result of an addition before its last multiplications: X = ef, Y = gh, Z = fg, T = eh.
struct Completed {
    Fe e, f, g, h;
    EdwardsPoint Extended() const { return {e * f, g * h, f * g, e * h}; }
    // Without T, which doubling does not read.
    EdwardsPoint Projective() const { return {e * f, g * h, f * g, kZero}; }
};

Completed Add(const EdwardsPoint& p, const Addend& q) {
    const Fe a = (p.y - p.x) * q.minus, b = (p.y + p.x) * q.plus, c = p.t * q.t2d, d = p.z * q.z2;
    return {b - a, d - c, d + c, b + a};
}

Completed Subtract(const EdwardsPoint& p, const Addend& q) {
    const Fe a = (p.y - p.x) * q.plus, b = (p.y + p.x) * q.minus, c = p.t * q.t2d, d = p.z * q.z2;
    return {b - a, d + c, d - c, b + a};
}

Completed Double(const EdwardsPoint& p) {
    const Fe a = Square(p.x), b = Square(p.y), zz = Square(p.z);
    const Fe h = a + b, g = a - b;
    return {h - Square(p.x + p.y), Carry(zz + zz) + g, g, h};
}

EdwardsPoint Negate(const EdwardsPoint& p) { return {kZero - p.x, p.y, p.z, kZero - p.t}; }

// Odd multiples 1, 3, 5, ... of `p`, `size` of them.
std::vector<Addend> OddMultiples(const EdwardsPoint& p, size_t size) {
    std::vector<Addend> table;
    table.reserve(size);
    const Addend twice(Double(p).Extended());
    EdwardsPoint multiple = p;
    table.emplace_back(multiple);
    while (table.size() < size) {
        multiple = Add(multiple, twice).Extended();
        table.emplace_back(multiple);
    }
    return table;
}

// A scalar below 2^255 in signed odd digits below 2^(width - 1), most of them zero.
using Digits = std::array<int8_t, 256>;

Digits DigitsOf(const EdwardsPoint::Scalar& scalar, int width) {
    const auto bit = [&](int i) { return i < 256 ? scalar[i / 8] >> (i % 8) & 1 : 0; };
    Digits digits{};
    int carry = 0;
    for (int i = 0; i < 256;) {
        if (bit(i) == carry) {  // an even window
            ++i;
            continue;
        }
        int window = carry;
        for (int j = 0; j < width; ++j) window += bit(i + j) << j;
        carry = window >> (width - 1) != 0 ? 1 : 0;
        digits[i] = static_cast<int8_t>(window - (carry << width));
        i += width;
    }
    return digits;
}

// Point widths make tables of 2^(width - 2) odd multiples.
constexpr int kPointWidth = 5;
constexpr int kBaseWidth = 7;

struct Term {
    Term(const EdwardsPoint::Scalar& scalar, const EdwardsPoint& point)
        : digits(DigitsOf(scalar, kPointWidth)), own(OddMultiples(point, 1 << (kPointWidth - 2))), table(own) {}
    Term(const EdwardsPoint::Scalar& scalar, std::span<const Addend> base_table)
        : digits(DigitsOf(scalar, kBaseWidth)), table(base_table) {}
    Term(const Term&) = delete;

    Digits digits;
    std::vector<Addend> own;
    std::span<const Addend> table;
};

// The sum of scalar * point over all terms, their doublings shared (Straus).
template <size_t N>
EdwardsPoint Sum(const Term (&terms)[N]) {
    int top = 255;
    const auto all_zero = [&](int i) {
        return std::all_of(std::begin(terms), std::end(terms), [i](const Term& term) { return term.digits[i] == 0; });
    };
    while (top >= 0 && all_zero(top)) --top;
    EdwardsPoint sum = kIdentity;
    for (int i = top; i >= 0; --i) {
        const bool last_doubling_alone = all_zero(i) && i > 0;
        sum = last_doubling_alone ? Double(sum).Projective() : Double(sum).Extended();
        for (const Term& term : terms) {
            const int digit = term.digits[i];
            if (digit > 0) sum = Add(sum, term.table[digit / 2]).Extended();
            if (digit < 0) sum = Subtract(sum, term.table[-digit / 2]).Extended();
        }
    }
    return sum;
}

// Multiples of B and of 2^128 B, so that a scalar's halves share their doublings.
struct BaseTables {
    BaseTables() {
        EdwardsPoint::Encoding encoding;
        encoding.fill(0x66);
        encoding[0] = 0x58;
        const EdwardsPoint base = *EdwardsPoint::Decode(encoding);
        low = OddMultiples(base, 1 << (kBaseWidth - 2));
        EdwardsPoint shifted = base;
        for (int i = 0; i < 128; ++i) shifted = Double(shifted).Extended();
        high = OddMultiples(shifted, 1 << (kBaseWidth - 2));
    }
    std::vector<Addend> low, high;
};

}  // namespace

std::optional<EdwardsPoint> EdwardsPoint::Decode(const Encoding& encoding) {
    const bool sign = (encoding[31] & 0x80) != 0;
    Encoding y_bytes = encoding;
    y_bytes[31] &= 0x7f;
    EdwardsPoint p{.y = FromBytes(y_bytes), .z = kOne};
    if (ToBytes(p.y) != y_bytes) return std::nullopt;  // y >= p
    // x^2 = (y^2 - 1) / (dy^2 + 1); the root of u / v is u v^3 (u v^7)^((p - 5) / 8), perhaps times sqrt(-1).
    const Fe yy = Square(p.y);
    const Fe u = yy - kOne, v = yy * kD + kOne;
    const Fe v3 = Square(v) * v;
    p.x = u * v3 * RootPower(u * v3 * Square(Square(v)));
    const Fe check = v * Square(p.x);
    if (!Equal(check, u)) {
        if (!IsZero(check + u)) return std::nullopt;
        p.x = p.x * kSqrtOfMinusOne;
    }
    if (IsZero(p.x) && sign) return std::nullopt;
    if (IsOdd(p.x) != sign) p.x = kZero - p.x;
    p.t = p.x * p.y;
    return p;
}

void EdwardsPoint::EncodeAll(std::span<const EdwardsPoint> points, std::span<Encoding> out) {
    // Montgomery's trick: products[i] is the product of all z before i.
    std::vector<Fe> products;
    products.reserve(points.size());
    Fe product = kOne;
    for (const EdwardsPoint& point : points) {
        products.push_back(product);
        product = product * point.z;
    }
    Fe inverse = Invert(product);
    for (size_t i = points.size(); i-- > 0;) {
        const Fe z_inverse = inverse * products[i];
        inverse = inverse * points[i].z;
        out[i] = ToBytes(points[i].y * z_inverse);
        if (IsOdd(points[i].x * z_inverse)) out[i][31] |= 0x80;
    }
}

EdwardsPoint EdwardsPoint::MultiplyByCofactor() const {
    return Double(Double(Double(*this).Projective()).Projective()).Extended();
}

bool EdwardsPoint::IsIdentity() const { return IsZero(x) && Equal(y, z); }

bool EdwardsPoint::HasPrimeOrder() const {
    if (IsIdentity()) return false;
    const Term terms[] = {{kEdwardsGroupOrder, *this}};
    return Sum(terms).IsIdentity();
}

EdwardsPoint EdwardsPoint::MultiplySubtract(const Scalar& a, const EdwardsPoint& p, const Scalar& b,
                                            const EdwardsPoint& q) {
    const Term terms[] = {{a, p}, {b, Negate(q)}};
    return Sum(terms);
}

EdwardsPoint EdwardsPoint::MultiplyBaseSubtract(const Scalar& a, const Scalar& b, const EdwardsPoint& q) {
    static const BaseTables tables;
    Scalar low{}, high{};
    std::copy_n(a.begin(), 16, low.begin());
    std::copy_n(a.begin() + 16, 16, high.begin());
    const Term terms[] = {{low, std::span(tables.low)}, {high, std::span(tables.high)}, {b, Negate(q)}};
    return Sum(terms);
}

}  // namespace sluice::crypto
