#include <fmt/format.h>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

Run DeclareProviders(CLI::App& app) {
    auto claim = std::make_shared<std::string>();
    app.add_option("claim", *claim, "The claim (the first digits of its id are enough), or the root of a content")
        ->required();
    return [claim](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json result, session.Call("getproviders", Json::array({*claim})));
        const Json providers = Member(result, {"providers"});
        std::string text;
        for (const Json& provider : providers) {
            const std::string address = TextMember(provider, {"address"});
            text += fmt::format("{:<24} {:<10} from {:<9} {:>12} bytes delivered, {} bytes/s\n",
                                address.empty() ? "(accepts no connections)" : address, TextMember(provider, {"state"}),
                                TextMember(provider, {"source"}), NumberMember(provider, {"delivered"}),
                                NumberMember(provider, {"bytes_per_s"}));
        }
        if (text.empty()) text = "No provider is known: they are looked for while it is downloaded\n";
        session.Show(result, text);
        return {};
    };
}

}  // namespace

std::vector<PersonCommand> ProviderCommands() {
    return {{"providers", "Show which nodes serve a claim, and what they delivered.", DeclareProviders}};
}

}  // namespace sluice::apps
