#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/clock.h"
#include "util/result.h"

namespace sluice {

// Minutes since local midnight, 0 to 1439.
using MinuteOfDay = uint32_t;
inline constexpr MinuteOfDay kMinutesPerDay = 24 * 60;

// Of the machine's time zone.
MinuteOfDay LocalMinuteOfDay(UnixMillis time);

// How many bytes may move in a second, by the time of day. A value type.
class BandwidthSchedule {
  public:
    static constexpr uint64_t kMaxKibPerS = 1 << 21;  // 2 GiB/s: rates in bytes fit in 32 bits
    static constexpr size_t kMaxWindows = 32;

    // No limit.
    BandwidthSchedule() = default;

    // Adds "2000" (KiB/s; 0: no limit), or "2000@08:00-18:00" for these hours of local time: the first minute belongs
    // to them, the last does not, and they may go past midnight. Hours go before a rate without any; where several
    // hold, the lowest counts. Of rates without hours the last one counts.
    Status Add(std::string_view text);
    // All of `texts`, which are parts as Add takes them, also several in one with commas between.
    static Result<BandwidthSchedule> Parse(const std::vector<std::string>& texts);

    // Bytes a second; nullopt: no limit.
    std::optional<uint64_t> RateAt(MinuteOfDay minute) const;
    // True if it never limits anything.
    bool IsUnlimited() const;
    // What Parse takes, in the same order.
    std::vector<std::string> ToStrings() const;

    friend bool operator==(const BandwidthSchedule&, const BandwidthSchedule&) = default;

  private:
    struct Window {
        MinuteOfDay from{0};
        MinuteOfDay to{0};  // 1 to 1440; at or before `from`: of the next day
        uint64_t kib_per_s{0};
        bool Holds(MinuteOfDay minute) const {
            return from < to ? from <= minute && minute < to : from <= minute || minute < to;
        }
        friend bool operator==(const Window&, const Window&) = default;
    };
    uint64_t m_kib_per_s{0};  // 0: no limit
    std::vector<Window> m_windows;
};

// The limits that an operator sets on content; nothing else is ever slowed down.
struct BandwidthLimits {
    BandwidthSchedule upload;           // over all peers
    BandwidthSchedule upload_per_peer;  // to each
    BandwidthSchedule download;         // over all peers
    friend bool operator==(const BandwidthLimits&, const BandwidthLimits&) = default;
};

}  // namespace sluice
