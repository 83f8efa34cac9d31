#include "node/genesis_choice.h"

#include "consensus/genesis_file.h"

namespace sluice::node {

Result<consensus::Genesis> ReadGenesisFile(storage::FileSystem& files, const std::string& path) {
    ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(files, path, consensus::kMaxGenesisFileBytes));
    auto genesis = consensus::DecodeGenesisFile(bytes);
    if (!genesis) return Fail(genesis.error().kind, path + ": " + genesis.error().message);
    return genesis;
}

Result<GenesisChoice> ChooseGenesis(storage::FileSystem& files, const std::string& chain,
                                    const std::optional<std::string>& file, const ConfFile& conf) {
    RETURN_IF_ERROR(CheckChainName(chain));
    if (chain != consensus::kCustomChain) {
        if (file) return Fail("-genesis belongs to -chain=custom, but the chain is '" + chain + "'");
        return GenesisChoice{chain, {}};
    }
    const auto path = file ? file : conf.Value("genesis", "");
    if (!path || path->empty())
        return Fail(
            "-chain=custom needs -genesis=FILE, as sluice-util genesis makes it or its network's makers gave it");
    ASSIGN_OR_RETURN(consensus::Genesis genesis, ReadGenesisFile(files, *path));
    std::string name = genesis.params.network;
    return GenesisChoice{std::move(name), std::move(genesis)};
}

}  // namespace sluice::node
