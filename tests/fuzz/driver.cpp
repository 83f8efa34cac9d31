#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "fuzz.h"

// fuzz_sluice --target NAME --seconds N ...: mutates the entries of a corpus and runs the target on them.

namespace sluice::fuzz {
namespace {

uint64_t g_accepted = 0;  // runs
bool g_run_accepted = false;

std::vector<Target>& MutableTargets() {
    static auto* targets = new std::vector<Target>;
    return *targets;
}

constexpr const char* kUsage =
    "usage: fuzz_sluice --list\n"
    "       fuzz_sluice --target NAME [--seconds N] [--runs N] [--seed S] [--corpus DIR] [--out DIR]\n"
    "       fuzz_sluice --target NAME FILE...       runs the target once on each file\n"
    "       fuzz_sluice --make-corpus DIR           writes the seeds of all targets to DIR/<target>/<seed>\n"
    "--corpus: a folder of inputs (default: the seeds that the program makes itself); --out: where crash-<target> goes "
    "(default: .),\n"
    "and, in a build with -fsanitize-coverage=trace-pc, new-<target>-<n>: inputs that reached something new.\n";

struct Options {
    bool list{false};
    std::string target, corpus, make_corpus, out{"."};
    std::optional<uint64_t> seconds, runs;
    uint64_t seed{1};
    std::vector<std::string> files;
};

std::optional<uint64_t> ParseNumber(const std::string& text) {
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    return std::stoull(text);
}

std::optional<Options> ParseOptions(const std::vector<std::string>& args) {
    Options options;
    for (size_t i = 0; i < args.size(); ++i) {
        const std::string& arg = args[i];
        if (arg == "--list") {
            options.list = true;
            continue;
        }
        if (!arg.starts_with("--")) {
            options.files.push_back(arg);
            continue;
        }
        if (i + 1 == args.size()) return std::nullopt;
        const std::string& value = args[++i];
        if (arg == "--target") {
            options.target = value;
        } else if (arg == "--corpus") {
            options.corpus = value;
        } else if (arg == "--make-corpus") {
            options.make_corpus = value;
        } else if (arg == "--out") {
            options.out = value;
        } else {
            const auto number = ParseNumber(value);
            if (!number) return std::nullopt;
            if (arg == "--seconds") {
                options.seconds = *number;
            } else if (arg == "--runs") {
                options.runs = *number;
            } else if (arg == "--seed") {
                options.seed = *number;
            } else {
                return std::nullopt;
            }
        }
    }
    return options;
}

std::optional<Bytes> ReadFile(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    return Bytes(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

bool WriteFile(const std::filesystem::path& path, ByteSpan bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    file.close();
    return !file.fail();
}

int MakeCorpus(const std::filesystem::path& folder) {
    for (const Target& target : Targets()) {
        std::filesystem::create_directories(folder / target.name);
        for (const Seed& seed : target.seeds()) {
            if (WriteFile(folder / target.name / seed.name, seed.bytes)) continue;
            std::fprintf(stderr, "cannot write %s\n", (folder / target.name / seed.name).c_str());
            return 1;
        }
    }
    return 0;
}

// In the order of the files' names; nullopt if a file cannot be read.
std::optional<std::vector<Bytes>> LoadCorpus(const Target& target, const std::string& folder) {
    std::vector<Bytes> corpus;
    if (folder.empty()) {
        for (Seed& seed : target.seeds()) corpus.push_back(std::move(seed.bytes));
        return corpus;
    }
    std::vector<std::filesystem::path> paths;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) paths.push_back(entry.path());
    if (error) return std::nullopt;
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
        auto bytes = ReadFile(path);
        if (!bytes) return std::nullopt;
        corpus.push_back(std::move(*bytes));
    }
    return corpus;
}

int RunFiles(const Target& target, const std::vector<std::string>& files) {
    for (const std::string& path : files) {
        const auto bytes = ReadFile(path);
        if (!bytes) {
            std::fprintf(stderr, "cannot read %s\n", path.c_str());
            return 1;
        }
        RunGuarded(target, *bytes);
        std::printf("%s: %zu bytes, no fault\n", path.c_str(), bytes->size());
    }
    return 0;
}

int Fuzz(const Target& target, const Options& options) {
    auto corpus = LoadCorpus(target, options.corpus);
    if (!corpus) {
        std::fprintf(stderr, "cannot read the corpus folder %s\n", options.corpus.c_str());
        return 1;
    }
    using SteadyClock = std::chrono::steady_clock;
    const auto start = SteadyClock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(SteadyClock::now() - start).count(); };
    for (const Bytes& entry : *corpus) {
        StartCoverage();
        g_run_accepted = false;
        RunGuarded(target, entry);
        NewCoverage();
    }
    if (g_accepted == 0) {
        std::fprintf(stderr, "%s: no entry of the corpus is valid any more: write it anew with --make-corpus\n",
                     target.name.c_str());
        return 1;
    }
    RandomBits random(options.seed);
    const uint64_t max_runs = options.runs.value_or(UINT64_MAX);
    const double max_seconds = options.seconds ? static_cast<double>(*options.seconds) : options.runs ? 1e18 : 10;
    uint64_t runs = 0, found = 0;
    g_accepted = 0;
    for (; runs < max_runs && elapsed() < max_seconds; ++runs) {
        Bytes input = (*corpus)[random.Below(corpus->size())];
        Mutate(input, (*corpus)[random.Below(corpus->size())], target.max_input_bytes, random);
        StartCoverage();
        g_run_accepted = false;
        RunGuarded(target, input);
        if (NewCoverage() == 0) continue;
        WriteFile(std::filesystem::path(options.out) / ("new-" + target.name + "-" + std::to_string(found++)), input);
        corpus->push_back(std::move(input));
    }
    std::printf("%s: %llu runs in %.1f s, %.2f %% valid, %zu in the corpus\n", target.name.c_str(),
                static_cast<unsigned long long>(runs), elapsed(),
                runs == 0 ? 0.0 : 100.0 * static_cast<double>(g_accepted) / static_cast<double>(runs), corpus->size());
    return 0;
}

int Main(const std::vector<std::string>& args) {
    const auto options = ParseOptions(args);
    if (!options || (!options->list && options->make_corpus.empty() && options->target.empty())) {
        std::fputs(kUsage, stderr);
        return 2;
    }
    if (options->list) {
        for (const Target& target : Targets()) std::printf("%s\n", target.name.c_str());
        return 0;
    }
    if (!options->make_corpus.empty()) return MakeCorpus(options->make_corpus);
    const auto target =
        std::find_if(Targets().begin(), Targets().end(), [&](const Target& t) { return t.name == options->target; });
    if (target == Targets().end()) {
        std::fprintf(stderr, "no target '%s': see --list\n", options->target.c_str());
        return 2;
    }
    const std::string crash_path = (std::filesystem::path(options->out) / ("crash-" + target->name)).string();
    InstallGuards(crash_path, "fuzz_sluice --target " + target->name + " " + crash_path);
    if (!options->files.empty()) return RunFiles(*target, options->files);
    return Fuzz(*target, *options);
}

}  // namespace

void NoteAccepted() {
    if (!std::exchange(g_run_accepted, true)) ++g_accepted;
}

Register::Register(Target target) {
    auto& targets = MutableTargets();
    const auto place = std::lower_bound(targets.begin(), targets.end(), target.name,
                                        [](const Target& t, const std::string& name) { return t.name < name; });
    targets.insert(place, std::move(target));
}

const std::vector<Target>& Targets() { return MutableTargets(); }

}  // namespace sluice::fuzz

int main(int argc, char** argv) { return sluice::fuzz::Main({argv + 1, argv + argc}); }
