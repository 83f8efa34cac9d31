#include "sim/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "sim/adversaries/attacks.h"

namespace sluice::sim {
namespace {

Scenario FromModel(const models::Model& model) {
    Scenario scenario;
    scenario.name = model.name;
    scenario.summary = model.summary;
    scenario.run = [run = model.run](const Arguments& arguments) {
        return run({arguments.nodes, arguments.slots, arguments.seed});
    };
    return scenario;
}

std::vector<Scenario> MakeScenarios() {
    std::vector<Scenario> all = HonestScenarios();
    for (const models::Model& model : Attacks()) all.push_back(FromModel(model));
    for (const models::Model& model : models::Models()) all.push_back(FromModel(model));
    std::sort(all.begin(), all.end(), [](const Scenario& a, const Scenario& b) { return a.name < b.name; });
    return all;
}

}  // namespace

const std::vector<Scenario>& Scenarios() {
    static const std::vector<Scenario> kScenarios = MakeScenarios();
    return kScenarios;
}

const Scenario* FindScenario(std::string_view name) {
    for (const Scenario& scenario : Scenarios())
        if (scenario.name == name) return &scenario;
    return nullptr;
}

Result<Report> RunScenario(const Scenario& scenario, Arguments arguments) {
    if (arguments.nodes == 0) arguments.nodes = scenario.nodes;
    if (arguments.slots == 0) arguments.slots = scenario.slots;
    if (arguments.nodes != 0 && arguments.nodes < scenario.least_nodes)
        return Fail(
            fmt::format("--nodes {}: {} needs at least {}", arguments.nodes, scenario.name, scenario.least_nodes));
    for (const auto& [name, value] : arguments.settings) {
        const auto found = std::find_if(scenario.settings.begin(), scenario.settings.end(),
                                        [&](const Setting& setting) { return setting.name == name; });
        if (found == scenario.settings.end()) {
            std::string known;
            for (const Setting& setting : scenario.settings) known += fmt::format(" {}", setting.name);
            return Fail(fmt::format("--set {}: {} has no such setting{}{}", name, scenario.name,
                                    known.empty() ? ", nor any other" : ", but", known));
        }
        if (!(value >= found->least && value <= found->most))
            return Fail(fmt::format("--set {}={}: it must be from {} to {}", name, value, found->least, found->most));
    }
    for (const Setting& setting : scenario.settings)
        arguments.settings.try_emplace(std::string(setting.name), setting.standard);
    const auto start = std::chrono::steady_clock::now();
    Report report = scenario.run(arguments);
    report.scenario = scenario.name;
    report.seed = arguments.seed;
    if (report.nodes == 0) report.nodes = arguments.nodes;
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
}

void AddFigure(Report& report, std::string name, std::string where, double value, std::optional<double> theory,
               std::optional<double> expected) {
    models::Figure figure{std::move(name), std::move(where), value, value, value};
    figure.theory = theory;
    figure.expected = expected;
    report.figures.push_back(std::move(figure));
}

void Require(Report& report, bool holds, const std::string& what) {
    if (holds) return;
    ++report.invariant_failures;
    report.failures.push_back(what);
}

void Finish(Report& report, World& world) {
    world.CheckNow(true);
    const Chronicle& chronicle = world.chronicle();
    report.real_nodes = true;
    report.nodes = world.size();
    report.trace_hash = world.Trace();
    report.slots = world.slot().value;
    report.blocks = chronicle.blocks().size();
    const std::vector<BlockHash>& kept = chronicle.chain_of(0);
    const auto known = std::count_if(kept.begin(), kept.end(),
                                     [&](const BlockHash& hash) { return chronicle.blocks().contains(hash); });
    report.orphaned = report.blocks - static_cast<uint64_t>(known);
    report.max_reorg_depth = chronicle.max_reorg_depth();
    report.invariant_failures += chronicle.failures();
    for (const std::string& text : chronicle.failure_texts()) report.failures.push_back(text);
}

}  // namespace sluice::sim
