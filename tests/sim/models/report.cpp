#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "sim/models/model.h"

namespace sluice::sim::models {

const std::vector<Model>& Models() {
    static const std::vector<Model> kModels{
        {"chain-quality", "model: the adversary's share of the chain at 10-45 %, following the rules and selfish",
         RunChainQuality},
        {"growth-model", "model: growth and orphans by delay, to check the scenario growth against", RunGrowth},
        {"nonce-grinding", "model: slots won by a last revealer who withholds blocks at the end of the nonce window",
         RunNonceGrinding},
        {"private-attack", "model: chance and depth of a private chain that overtakes, at 10-45 %", RunPrivateAttack},
        {"withholding", "model: blocks kept back for ever, late, from half of the nodes, or until caught up",
         RunWithholding},
    };
    return kModels;
}

ModelReport RunModel(const Model& model, const ModelOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    ModelReport report = model.run(options);
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
}

std::string ToJson(const ModelReport& report) {
    nlohmann::ordered_json json{{"scenario", report.scenario},
                                {"kind", report.real_nodes ? "nodes" : "model"},
                                {"seed", report.seed},
                                {"nodes", report.nodes},
                                {"trace_hash", report.trace_hash.Hex()},
                                {"slots", report.slots},
                                {"blocks", report.blocks},
                                {"orphaned", report.orphaned},
                                {"max_reorg_depth", report.max_reorg_depth},
                                {"invariant_failures", report.invariant_failures},
                                {"seconds", report.seconds},
                                {"figures", nlohmann::ordered_json::array()}};
    for (const Figure& figure : report.figures) {
        nlohmann::ordered_json entry{{"name", figure.name},
                                     {"where", figure.where},
                                     {"value", figure.value},
                                     {"low", figure.low},
                                     {"high", figure.high}};
        if (figure.theory) entry["theory"] = *figure.theory;
        if (figure.theory_high) entry["theory_high"] = *figure.theory_high;
        if (figure.expected) entry["expected"] = *figure.expected;
        json["figures"].push_back(std::move(entry));
    }
    if (report.real_nodes) json["failures"] = report.failures;
    return json.dump();
}

std::string ToTable(const ModelReport& report) {
    std::string table = fmt::format("{} (seed {}): {} slots, {} blocks, {} orphaned, deepest reorg {}, {} failures\n",
                                    report.scenario, report.seed, report.slots, report.blocks, report.orphaned,
                                    report.max_reorg_depth, report.invariant_failures);
    for (const std::string& failure : report.failures) table += "  FAILED: " + failure + "\n";
    for (const Figure& figure : report.figures) {
        table += fmt::format("  {:<48} {:<56} {:>11.5g} [{:.5g}, {:.5g}]", figure.name, figure.where, figure.value,
                             figure.low, figure.high);
        if (figure.theory_high)
            table += fmt::format("  theory {:.5g} to {:.5g}", *figure.theory, *figure.theory_high);
        else if (figure.theory)
            table += fmt::format("  theory {:.5g}", *figure.theory);
        if (figure.expected) table += fmt::format("  expected {:.5g}", *figure.expected);
        table += '\n';
    }
    return table;
}

}  // namespace sluice::sim::models
