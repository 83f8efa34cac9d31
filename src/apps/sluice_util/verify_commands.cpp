#include <atomic>
#include <memory>

#include "apps/sluice_util/commands.h"
#include "apps/sluice_util/verify_entries.h"

namespace sluice::apps {
namespace {

std::shared_ptr<std::string> AddFile(CLI::App& command) {
    auto file = std::make_shared<std::string>();
    command.add_option("FILE", *file, "JSON lines, or one array of objects; standard input without it or with -");
    return file;
}

void AddVrfVerify(CLI::App& app, int& exit_status) {
    CLI::App& command = *app.add_subcommand(
        "vrf-verify",
        "Verify proofs of ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381).\n"
        "Each line {\"public_key\",\"alpha\",\"pi\"} in hex gives {\"valid\":true,\"beta\":...} or {\"valid\":false}.");
    OnCommand(command, exit_status, [file = AddFile(command)]() -> CommandResult {
        RETURN_IF_ERROR(AnswerEntries(*file, AnswerVrf));
        return 0;
    });
}

void AddSchnorrVerify(CLI::App& app, int& exit_status) {
    CLI::App& command =
        *app.add_subcommand("schnorr-verify",
                            "Verify BIP340 signatures of messages of any length.\n"
                            "Each line {\"public_key\",\"message\",\"signature\"} in hex gives {\"valid\":...}.");
    OnCommand(command, exit_status, [file = AddFile(command)]() -> CommandResult {
        RETURN_IF_ERROR(AnswerEntries(*file, AnswerSchnorr));
        return 0;
    });
}

void AddVerifyInput(CLI::App& app, int& exit_status) {
    CLI::App& command = *app.add_subcommand(
        "verify-input",
        "Verify spends of taproot outputs (BIP341, BIP342), in the format of Bitcoin Core's script assets.\n"
        "Each line {\"tx\",\"prevouts\",\"index\",\"flags\",\"success\",\"failure\"} gives "
        "{\"line\",\"verdict\",\"success_valid\",\n"
        "\"failure_valid\"}; the verdict is ok, mismatch, or skipped if the entry is not about taproot.\n"
        "The exit status is 1 if any line is a mismatch.");
    OnCommand(command, exit_status, [file = AddFile(command)]() -> CommandResult {
        std::atomic<bool> mismatch{false};
        RETURN_IF_ERROR(AnswerEntries(*file, [&mismatch](const JsonEntry& entry) {
            InputAnswer answer = AnswerInput(entry);
            if (answer.mismatch) mismatch = true;
            return std::move(answer.line);
        }));
        return mismatch ? 1 : 0;
    });
}

}  // namespace

void AddVerifyCommands(CLI::App& app, int& exit_status) {
    AddVrfVerify(app, exit_status);
    AddSchnorrVerify(app, exit_status);
    AddVerifyInput(app, exit_status);
}

}  // namespace sluice::apps
