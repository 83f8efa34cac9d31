#pragma once

#include <memory>
#include <string>

#include "node/adjustable_clock.h"
#include "node/bundle_publisher.h"
#include "node/call.h"
#include "node/config.h"
#include "node/content_jobs.h"
#include "node/content_tokens.h"
#include "node/discovery.h"
#include "node/evidence_agent.h"
#include "node/fetch_jobs.h"
#include "node/fraud_reports.h"
#include "node/gift_agent.h"
#include "node/payment_agent.h"
#include "node/publish_jobs.h"
#include "node/sale_agent.h"
#include "node/staking.h"

namespace sluice::node {

// The whole node: owns its parts, starts and ends them, and lets front ends reach them on their strands. Has no logic
// of its own.
//
// Life: Open (loads everything; no executor runs yet) -> the executors start -> Start -> ... -> the executors stop ->
// destruction.
class Node {
  public:
    static constexpr const char* kVersion = "0.1.0";
    static std::string UserAgent() { return std::string("/Sluice:") + kVersion + "/"; }

    // `environment.clock` is `clock`. Errors say what is wrong with the folder or the configuration.
    static Result<std::unique_ptr<Node>> Open(const Environment& environment, AdjustableClock& clock,
                                              const NodeConfig& config);
    // The same on a network, and with operator keys, that the caller brings: simulations.
    static Result<std::unique_ptr<Node>> Open(const Environment& environment, AdjustableClock& clock,
                                              const NodeConfig& config, consensus::Genesis genesis,
                                              std::optional<consensus::OperatorKeys> keys);
    ~Node();

    // Listens, dials, stakes. From a thread of its own.
    Status Start();
    // The two halves of Start, in this order, each on its strand: for who drives the strands itself.
    Status StartNetwork();
    Status StartChain();
    // What the daemon does when the node is asked to stop, or has to: called from any thread, once.
    void OnStop(std::function<void(std::optional<Error>)> on_stop) { m_on_stop = std::move(on_stop); }
    void RequestStop(std::optional<Error> why = {});
    bool IsStopping() const { return m_stopping; }
    // Ends waits and loops; the executors may stop after it.
    void Shutdown();

    // Any thread.
    EventHub& events() { return m_events; }
    JobTable& jobs() { return m_jobs; }
    AdjustableClock& clock() const { return m_clock; }
    const consensus::Params& params() const { return m_params; }
    const NodeConfig& config() const { return m_config; }
    uint16_t listening_port() const { return m_listening_port; }
    Instant started() const { return m_started; }
    content::ChunkStore& chunks() { return *m_chunks; }
    Streams& streams() { return *m_streams; }
    ContentTokens& content_tokens() { return m_content_tokens; }

    // Runs a task (returning a Result) on a strand and waits. Front ends only.
    template <class Task>
    auto CallChain(Task task) {
        return CallOn(m_environment.chain_strand, std::move(task));
    }
    template <class Task>
    auto CallNetwork(Task task) {
        return CallOn(m_environment.network_strand, std::move(task));
    }

    // Chain strand.
    ChainService& chain() { return *m_chain; }
    const ChainService& chain() const { return *m_chain; }
    Staking& staking() { return *m_staking; }
    WalletService& wallet() { return *m_wallet; }
    SaleAgent& sales() { return *m_sales; }
    KeyRing& keys() { return *m_keys; }
    GiftAgent& gifts() { return *m_gifts; }
    FraudReports& frauds() { return *m_frauds; }
    BundlePublisher& bundles() { return *m_bundles; }
    PaymentAgent& payments() { return *m_payments; }
    const Claims& claims() const { return *m_claims; }
    PublishJobs& publish_jobs() { return *m_publish_jobs; }
    ContentJobs& content_jobs() { return *m_content_jobs; }
    FetchJobs& fetch_jobs() { return *m_fetch_jobs; }
    Fetcher& fetcher() { return *m_fetcher; }
    RandomSource& random() { return m_environment.random; }
    // Network strand.
    NetworkService& network() { return *m_network; }
    SwarmService& swarm() { return *m_swarm; }
    Discovery& discovery() { return *m_discovery; }

    // Settles everything that was earned and is worth it. From threads of front ends. No channels: nothing was.
    Result<SettleOutcome> SettleAll();
    // Writes a copy of the vouchers that are not settled, or takes one up; how many channels it holds. From threads of
    // front ends.
    Result<size_t> BackUpVouchers(const std::string& path);
    Result<size_t> RestoreVouchers(const std::string& path);
    // What was earned, by day, content and payer. Any thread.
    std::vector<EarningRow> Earnings() const { return m_swarm_store->Earnings(); }
    // After a wallet was made or restored: sales and channels that it holds the keys of.
    void OnWalletReady();

  private:
    Node(const Environment& environment, AdjustableClock& clock, const NodeConfig& config, consensus::Params params);
    Status Listen();
    Status TakeBackupSeeds();
    Status KeepVoucherBackup();
    void UseWalletSeed();
    void TickChain();

    Environment m_environment;
    AdjustableClock& m_clock;
    NodeConfig m_config;
    consensus::Params m_params;
    EventHub m_events;
    JobTable m_jobs{m_events};
    std::shared_ptr<std::atomic<bool>> m_alive = std::make_shared<std::atomic<bool>>(true);
    std::atomic<bool> m_stopping{false};
    std::function<void(std::optional<Error>)> m_on_stop;
    Instant m_started;
    std::atomic<uint16_t> m_listening_port{0};

    BlockHash m_genesis_hash;
    std::vector<SecretBytes<32>> m_loose_seeds;  // disk strand, once it runs; see KnownPayeeSeeds
    bool m_has_wallet_seed{false};
    // Channels from before the restart, read before the disk strand runs.
    std::vector<content::PayerChannel> m_old_payer_channels;
    std::vector<content::PayeeChannel> m_old_payee_channels;
    std::unique_ptr<content::ChunkStore> m_chunks;
    std::unique_ptr<SwarmStore> m_swarm_store;
    std::unique_ptr<NetworkService> m_network;
    std::unique_ptr<ChainService> m_chain;
    std::unique_ptr<Staking> m_staking;
    std::unique_ptr<EvidenceAgent> m_evidence;
    std::unique_ptr<WalletService> m_wallet;
    std::unique_ptr<SwarmService> m_swarm;
    std::unique_ptr<SaleAgent> m_sales;
    std::unique_ptr<KeyRing> m_keys;
    std::unique_ptr<GiftAgent> m_gifts;
    std::unique_ptr<PaymentAgent> m_payments;
    std::unique_ptr<JobTasks> m_job_tasks;
    std::unique_ptr<Claims> m_claims;
    std::unique_ptr<Discovery> m_discovery;
    std::unique_ptr<FraudReports> m_frauds;
    std::unique_ptr<BundlePublisher> m_bundles;
    std::unique_ptr<PublishJobs> m_publish_jobs;
    ContentTokens m_content_tokens;
    std::unique_ptr<DownloadDesk> m_desk;
    std::unique_ptr<Streams> m_streams;
    std::unique_ptr<Fetcher> m_fetcher;
    std::unique_ptr<FetchJobs> m_fetch_jobs;
    std::unique_ptr<ContentJobs> m_content_jobs;
};

}  // namespace sluice::node
