#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/sluice_util/commands.h"
#include "consensus/templates.h"
#include "content/fraud_proof.h"
#include "storage/file_system.h"

// verify-fraud: whether a seller delivered what its record promised, from one file.

namespace sluice::apps {
namespace {

CommandResult VerifyFraud(const std::string& path, bool json) {
    const auto files = storage::MakePosixFileSystem();
    ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(*files, path, content::kMaxFraudProofBytes));
    ASSIGN_OR_RETURN(const content::FraudProof proof, content::FraudProof::FromBytes(bytes));
    const auto finding = content::VerifyFraudProof(proof);
    if (!finding) return Fail("nothing is proven: " + finding.error().message);
    const OutPoint anchor = proof.publish->Output(proof.record_output + 1);
    const ClaimId claim = finding->record.updates.value_or(consensus::MakeClaimId(anchor));
    nlohmann::ordered_json result{
        {"proven", true}, {"what", finding->what}, {"claim", claim.Hex()}, {"publish", proof.publish->txid().Hex()}};
    if (proof.sale) {
        result["purchase"] = proof.sale->purchase->txid().Hex();
        result["grant"] = proof.sale->grant->txid().Hex();
    }
    if (json) {
        std::printf("%s\n", result.dump(2).c_str());
        return 0;
    }
    std::printf("Proven: %s.\nclaim    %s\npublish  %s\n", finding->what.c_str(), claim.Hex().c_str(),
                proof.publish->txid().Hex().c_str());
    if (proof.sale)
        std::printf("purchase %s\ngrant    %s\n", proof.sale->purchase->txid().Hex().c_str(),
                    proof.sale->grant->txid().Hex().c_str());
    std::printf("That these transactions are on the chain, any node says: sluice-cli getrawtransaction TXID\n");
    return 0;
}

}  // namespace

void AddFraudCommands(CLI::App& app, int& exit_status) {
    struct Options {
        std::string file;
        bool json{false};
    };
    auto options = std::make_shared<Options>();
    CLI::App* verify = app.add_subcommand(
        "verify-fraud", "Check the proof that a key which was sold does not open what its record promised.");
    verify->add_option("FILE", options->file, "The proof, as 'getfraudproof' names it")->required();
    verify->add_flag("--json", options->json, "Print JSON");
    OnCommand(*verify, exit_status, [options] { return VerifyFraud(options->file, options->json); });
}

}  // namespace sluice::apps
