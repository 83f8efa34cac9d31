#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consensus/header_rules.h"

// Slot-level Monte-Carlo models, for what needs 10^5 to 10^9 slots and so cannot be had from whole nodes.
//
// What is real in them: the chance to lead a slot is consensus::LeaderThreshold, which of two tips is better is
// consensus::BetterTip, an epoch's nonce is made by consensus::CompleteState and NextContext. What is not: a draw of a
// fast generator stands where a VRF output would be hashed (leader value, tie-break value, nonce value), headers carry
// no proofs and no signatures, blocks have no bodies, and a block that is delivered brings its ancestors along. The
// scenarios of real nodes have all that; the models are held against them (growth-model against growth, private-attack
// against private-fork).

namespace sluice::sim::models {

struct ModelOptions {
    uint32_t nodes{0};  // honest nodes, in the models that have nodes; 0: the model's own number
    uint64_t slots{0};  // simulated for each figure (each trial's epoch for nonce-grinding); 0: the model's own number
    uint64_t seed{1};
};

// One measured number with its 95 % interval and what theory says about it.
struct Figure {
    std::string name;   // what was measured, with its unit
    std::string where;  // the parameters, "adversary 30 %, delay 2 s"
    double value{0};
    double low{0};
    double high{0};
    std::optional<double> theory;  // or the lower end of theory's range
    std::optional<double> theory_high;
    std::optional<double> expected;  // what the requirements ask to compare with
};

struct ModelReport {
    std::string scenario;
    uint64_t seed{0};
    uint64_t nodes{0};     // simulated, of real ones or the model's
    Hash256 trace_hash;    // of every batch's counts and the generator's last state
    uint64_t slots{0};     // simulated in all
    uint64_t blocks{0};    // made in all
    uint64_t orphaned{0};  // of them not in the chain at the end
    uint64_t max_reorg_depth{0};
    uint64_t invariant_failures{0};     // a measured number outside of what must hold (each model says what)
    std::vector<std::string> failures;  // what they were, for those of real nodes
    std::vector<Figure> figures;
    bool real_nodes{false};
    double seconds{0};  // of real time; not part of the trace
};

struct Model {
    std::string_view name;
    std::string_view summary;
    ModelReport (*run)(const ModelOptions&);
};
// All models, by name.
const std::vector<Model>& Models();

// Runs it and takes the time.
ModelReport RunModel(const Model& model, const ModelOptions& options);

// The report as a JSON object of one line, and as a table for people.
std::string ToJson(const ModelReport& report);
std::string ToTable(const ModelReport& report);

ModelReport RunChainQuality(const ModelOptions& options);
ModelReport RunGrowth(const ModelOptions& options);
ModelReport RunNonceGrinding(const ModelOptions& options);
ModelReport RunPrivateAttack(const ModelOptions& options);
ModelReport RunWithholding(const ModelOptions& options);

}  // namespace sluice::sim::models
