#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "sim/scenario.h"
#include "util/log.h"

// sluice-sim: runs a scenario by name (doc/simulation.md).

namespace sluice::sim {
namespace {

constexpr int kInvariantFailed = 1;
constexpr int kBadArguments = 2;

int Complain(const std::string& what) {
    std::cerr << "sluice-sim: " << what << "\n";
    return kBadArguments;
}

void List() {
    for (const Scenario& scenario : Scenarios()) {
        std::cout << fmt::format("{:<20} {}\n", scenario.name, scenario.summary);
        for (const Setting& setting : scenario.settings)
            std::cout << fmt::format("{:<20}   --set {}={}: {} ({} to {})\n", "", setting.name, setting.standard,
                                     setting.summary, setting.least, setting.most);
    }
}

// NAME=NUMBER
Result<std::pair<std::string, double>> ParseSetting(const std::string& text) {
    const size_t equals = text.find('=');
    double value = 0;
    const char* const end = text.data() + text.size();
    if (equals != std::string::npos && equals > 0) {
        const auto [rest, error] = std::from_chars(text.data() + equals + 1, end, value);
        if (error == std::errc() && rest == end) return std::pair(text.substr(0, equals), value);
    }
    return Fail(fmt::format("--set {}: give NAME=NUMBER", text));
}

// What the nodes log goes to a file that is removed at the end, unless one is named.
class LogFile {
  public:
    Status Start(const std::string& named) {
        if (!named.empty()) return StartLog(named, LogLevel::kInfo, false);
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-sim-XXXXXX").string();
        if (!mkdtemp(pattern.data())) return Fail("no temporary folder can be made: set TMPDIR, or give --log FILE");
        m_folder = pattern;
        return StartLog(m_folder + "/log", LogLevel::kError, false);
    }
    ~LogFile() {
        std::error_code ignored;
        if (!m_folder.empty()) std::filesystem::remove_all(m_folder, ignored);
    }

  private:
    std::string m_folder;
};

World::Progress ProgressLine(const std::string& name) {
    if (!isatty(STDERR_FILENO)) return {};
    return [name](double done) {
        std::cerr << fmt::format("\r{}: {:3.0f} %{}", name, done * 100, done >= 1 ? "\n" : "") << std::flush;
    };
}

int Run(int argc, char** argv) {
    CLI::App app{
        "Simulates networks of real Sluice nodes on virtual time. Exit status: 0, 1 if an invariant failed, 2 for "
        "bad arguments."};
    std::string name, log;
    Arguments arguments;
    std::vector<std::string> settings;
    bool list = false, json = false;
    int repeat = 1;
    app.add_option("--scenario", name, "which (--list names them)");
    app.add_flag("--list", list, "name the scenarios and end");
    app.add_option("--nodes", arguments.nodes, "how many; the scenario's own number by default")
        ->check(CLI::Range(uint32_t{1}, uint32_t{100}));
    app.add_option("--slots", arguments.slots, "how long; the scenario's own number by default")
        ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}));
    app.add_option("--seed", arguments.seed, "the same seed gives the same run (1)");
    app.add_option("--set", settings, "NAME=NUMBER: a setting of the scenario (--list)");
    app.add_option("--repeat", repeat, "run so often and fail if the traces differ (1)")->check(CLI::Range(1, 1'000));
    app.add_flag("--json", json, "one JSON object on stdout");
    app.add_option("--log", log, "write the nodes' log to this file");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& error) {
        return Complain(error.what());
    }
    if (list) return List(), 0;
    if (name.empty()) return Complain("name a scenario with --scenario NAME; --list shows them");
    const Scenario* const scenario = FindScenario(name);
    if (!scenario) return Complain(fmt::format("there is no scenario '{}'; --list shows them", name.substr(0, 40)));
    for (const std::string& text : settings) {
        auto setting = ParseSetting(text);
        if (!setting) return Complain(setting.error().message);
        arguments.settings[setting->first] = setting->second;
    }
    LogFile log_file;
    if (const Status started = log_file.Start(log); !started) return Complain(started.error().message);
    arguments.progress = ProgressLine(name);
    std::optional<Report> first;
    for (int run = 0; run < repeat; ++run) {
        auto report = RunScenario(*scenario, arguments);
        if (!report) return Complain(report.error().message);
        if (first) Require(*first, first->trace_hash == report->trace_hash, "a repeated run has another trace");
        if (!first) first = std::move(*report);
    }
    if (json)
        std::cout << models::ToJson(*first) << "\n";
    else
        std::cout << models::ToTable(*first) << "  trace " << first->trace_hash.Hex()
                  << fmt::format(", {:.1f} s\n", first->seconds);
    for (const std::string& failure : first->failures) std::cerr << "failed: " << failure << "\n";
    return first->invariant_failures == 0 ? 0 : kInvariantFailed;
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) { return sluice::sim::Run(argc, argv); }
