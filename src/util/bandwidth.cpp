#include "util/bandwidth.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace sluice {
namespace {

std::optional<uint64_t> ReadNumber(std::string_view text) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

// "HH:MM", 00:00 to 24:00.
std::optional<MinuteOfDay> ReadTime(std::string_view text) {
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const auto hour = ReadNumber(text.substr(0, 2)), minute = ReadNumber(text.substr(3));
    if (!hour || !minute || *minute > 59 || *hour * 60 + *minute > kMinutesPerDay) return std::nullopt;
    return static_cast<MinuteOfDay>(*hour * 60 + *minute);
}

std::string TimeText(MinuteOfDay minute) {
    const auto two = [](MinuteOfDay number) { return (number < 10 ? "0" : "") + std::to_string(number); };
    return two(minute / 60) + ":" + two(minute % 60);
}

std::optional<uint64_t> BytesPerSecond(uint64_t kib_per_s) {
    return kib_per_s == 0 ? std::nullopt : std::optional(kib_per_s << 10);
}

}  // namespace

MinuteOfDay LocalMinuteOfDay(UnixMillis time) {
    const std::time_t seconds_now = std::chrono::duration_cast<seconds>(time.time_since_epoch()).count();
    std::tm local{};
    if (localtime_r(&seconds_now, &local) == nullptr) return 0;
    return static_cast<MinuteOfDay>(local.tm_hour * 60 + local.tm_min);
}

Status BandwidthSchedule::Add(std::string_view text) {
    const auto bad = [&](const std::string& why) {
        return Fail("a rate of '" + std::string(text.substr(0, 40)) + "': " + why +
                    "; write KiB/s, as 2000 or 2000@08:00-18:00, 0 for no limit");
    };
    const size_t at = text.find('@');
    const auto rate = ReadNumber(text.substr(0, at));
    if (!rate || *rate > kMaxKibPerS)
        return bad("the rate is not a whole number from 0 to " + std::to_string(kMaxKibPerS));
    if (at == std::string_view::npos) {
        m_kib_per_s = *rate;
        return {};
    }
    const std::string_view hours = text.substr(at + 1);
    const size_t dash = hours.find('-');
    if (dash == std::string_view::npos) return bad("the hours have no '-'");
    const auto from = ReadTime(hours.substr(0, dash)), to = ReadTime(hours.substr(dash + 1));
    if (!from || !to || *from == kMinutesPerDay || *to == 0)
        return bad("the hours are not from 00:00-00:01 to 23:59-24:00");
    if (*from == *to) return bad("the hours are empty: leave them out to mean the whole day");
    if (m_windows.size() == kMaxWindows)
        return bad("there are more than " + std::to_string(kMaxWindows) + " with hours");
    m_windows.push_back({*from, *to, *rate});
    return {};
}

Result<BandwidthSchedule> BandwidthSchedule::Parse(const std::vector<std::string>& texts) {
    BandwidthSchedule schedule;
    for (const std::string& text : texts) {
        std::string_view left = text;
        for (;;) {
            const size_t comma = left.find(',');
            RETURN_IF_ERROR(schedule.Add(left.substr(0, comma)));
            if (comma == std::string_view::npos) break;
            left.remove_prefix(comma + 1);
        }
    }
    return schedule;
}

std::optional<uint64_t> BandwidthSchedule::RateAt(MinuteOfDay minute) const {
    std::optional<uint64_t> lowest;
    bool in_window = false;
    for (const Window& window : m_windows) {
        if (!window.Holds(minute)) continue;
        in_window = true;
        const auto rate = BytesPerSecond(window.kib_per_s);
        if (rate) lowest = std::min(lowest.value_or(*rate), *rate);
    }
    return in_window ? lowest : BytesPerSecond(m_kib_per_s);
}

bool BandwidthSchedule::IsUnlimited() const {
    return m_kib_per_s == 0 &&
           std::all_of(m_windows.begin(), m_windows.end(), [](const Window& window) { return window.kib_per_s == 0; });
}

std::vector<std::string> BandwidthSchedule::ToStrings() const {
    std::vector<std::string> texts{std::to_string(m_kib_per_s)};
    for (const Window& window : m_windows)
        texts.push_back(std::to_string(window.kib_per_s) + "@" + TimeText(window.from) + "-" + TimeText(window.to));
    return texts;
}

}  // namespace sluice
