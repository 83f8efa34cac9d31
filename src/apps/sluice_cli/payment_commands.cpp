#include <fmt/format.h>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

Run DeclareSettle(CLI::App& app) {
    auto wait = std::make_shared<bool>(false);
    app.add_flag("--wait", *wait, "Wait until it is in a block");
    return [wait](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json settled, session.Call("settlechannels"));
        const Json txids = Member(settled, {"txids"});
        if (*wait) RETURN_IF_ERROR(session.WaitForConfirmations(txids));
        std::string text = "Nothing to settle.\n";
        if (!txids.empty())
            text = fmt::format("Settled {} SLU in {}\n", TextMember(settled, {"amount"}), FormatValue(txids));
        session.Show(settled, text);
        return {};
    };
}

}  // namespace

std::vector<PersonCommand> PaymentCommands() {
    return {
        {"settle", "Collect on chain what downloaders paid.", DeclareSettle},
    };
}

}  // namespace sluice::apps
