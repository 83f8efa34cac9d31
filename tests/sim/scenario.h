#pragma once

#include <map>

#include "sim/models/model.h"
#include "sim/world.h"

// What sluice-sim runs by name. A scenario is a function from arguments to a report (models/model.h); those of real
// nodes make a World, run it, and finish the report with Conclude.

namespace sluice::sim {

using Report = models::ModelReport;

// A number that a scenario can be told (--set name=value).
struct Setting {
    std::string_view name;
    std::string_view summary;
    double standard{0};
    double least{0};
    double most{0};
};

struct Arguments {
    uint32_t nodes{0};  // 0: the scenario's own number
    uint64_t slots{0};  // likewise
    uint64_t seed{1};
    std::map<std::string, double, std::less<>> settings;
    World::Progress progress;
};

struct Scenario {
    std::string name;
    std::string summary;
    std::function<Report(const Arguments&)> run;
    uint32_t nodes{0};  // own numbers; 0: it says nothing
    uint64_t slots{0};
    uint32_t least_nodes{1};
    std::vector<Setting> settings;
};

// Every scenario, by name: honest networks (honest.cpp), attacks on real nodes and models.
const std::vector<Scenario>& Scenarios();
const Scenario* FindScenario(std::string_view name);

// Checks the arguments, fills in what they leave open, runs, takes the time. An error names the argument.
Result<Report> RunScenario(const Scenario& scenario, Arguments arguments);

// Of honest networks.
std::vector<Scenario> HonestScenarios();

// For scenarios of real nodes. A number without an interval: what one run did.
void AddFigure(Report& report, std::string name, std::string where, double value,
               std::optional<double> theory = std::nullopt, std::optional<double> expected = std::nullopt);
// Not held: a failure of the report.
void Require(Report& report, bool holds, const std::string& what);
// The fields that every report has, from the world's chronicle, whose failures become the report's.
void Finish(Report& report, World& world);

}  // namespace sluice::sim
