#include "util/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace sluice {
namespace {

constexpr size_t kMaxLogFileBytes = 32 << 20;
constexpr size_t kLogFilesKept = 3;

spdlog::level::level_enum SpdLevel(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return spdlog::level::debug;
        case LogLevel::kInfo:
            return spdlog::level::info;
        case LogLevel::kWarning:
            return spdlog::level::warn;
        case LogLevel::kError:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

std::shared_ptr<spdlog::logger>& Logger() {
    static std::shared_ptr<spdlog::logger> logger = [] {
        auto initial = std::make_shared<spdlog::logger>("sluice", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        initial->set_level(spdlog::level::warn);
        return initial;
    }();
    return logger;
}

}  // namespace

Status StartLog(const std::string& file, LogLevel least, bool to_stderr) {
    try {
        std::vector<spdlog::sink_ptr> sinks{
            std::make_shared<spdlog::sinks::rotating_file_sink_mt>(file, kMaxLogFileBytes, kLogFilesKept)};
        if (to_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
        auto logger = std::make_shared<spdlog::logger>("sluice", sinks.begin(), sinks.end());
        logger->set_level(SpdLevel(least));
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ [%l] %v", spdlog::pattern_time_type::utc);
        logger->flush_on(std::min(SpdLevel(least), spdlog::level::info));
        logger->set_error_handler([](const std::string&) {});  // a full disk must not stop the node from saying so
        Logger() = std::move(logger);
    } catch (const spdlog::spdlog_ex& error) {
        return Fail(ErrorKind::kEnvironment, std::string("cannot write the log: ") + error.what());
    }
    return {};
}

bool LogEnabled(LogLevel level) { return Logger()->should_log(SpdLevel(level)); }

void LogLine(LogLevel level, std::string_view category, std::string_view line) {
    Logger()->log(SpdLevel(level), "{}: {}", category, line);
}

void FlushLog() { Logger()->flush(); }

}  // namespace sluice
