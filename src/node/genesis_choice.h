#pragma once

#include <optional>
#include <string>

#include "consensus/genesis.h"
#include "node/conf_file.h"

namespace sluice::node {

// Which network -chain and -genesis name.
struct GenesisChoice {
    std::string chain;                          // the network's own name: its folder, and its section of sluice.conf
    std::optional<consensus::Genesis> genesis;  // of a genesis file; none: the network is built in, or none is
};

// `chain` is what was asked for, "custom" for a file's; `file` is the command line's -genesis, which goes before the
// line `genesis=` of sluice.conf. Other names than "custom" are only checked for their form.
Result<GenesisChoice> ChooseGenesis(storage::FileSystem& files, const std::string& chain,
                                    const std::optional<std::string>& file, const ConfFile& conf);

// Errors name the file.
Result<consensus::Genesis> ReadGenesisFile(storage::FileSystem& files, const std::string& path);

}  // namespace sluice::node
