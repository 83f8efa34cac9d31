#include "node/node.h"

#include "content/settlement.h"
#include "node/payee_seeds.h"
#include "p2p/peer_manager.h"
#include "util/log.h"

namespace sluice::node {
namespace {

constexpr milliseconds kChainTick{200};

// regtest's public keys, or those of -stakerkeys, or those in the chain's folder if there are any.
Result<StakerKeys> OpenStakerKeys(const Environment& environment, const NodeConfig& config,
                                  std::optional<consensus::OperatorKeys> public_keys) {
    if (public_keys) return StakerKeys::FromPublic(std::move(*public_keys));
    const auto is_private = environment.is_private_file
                                ? environment.is_private_file
                                : IsPrivateFile([](const std::string&) -> Result<bool> { return true; });
    if (config.staker_keys.empty())
        return StakerKeys::Open(environment.files, config.ChainDir() + "/staker_keys.json", is_private);
    if (!environment.files.Exists(config.staker_keys))
        return Fail("-stakerkeys=" + config.staker_keys +
                    ": there is no such file: make it with 'sluice-util staker-keys --out " + config.staker_keys + "'");
    return StakerKeys::Open(environment.files, config.staker_keys, is_private);
}

}  // namespace

Node::Node(const Environment& environment, AdjustableClock& clock, const NodeConfig& config, consensus::Params params)
    : m_environment(environment),
      m_clock(clock),
      m_config(config),
      m_params(std::move(params)),
      m_started(clock.Monotonic()),
      m_content_tokens(environment.clock, environment.random) {}

Node::~Node() { Shutdown(); }

Result<std::unique_ptr<Node>> Node::Open(const Environment& environment, AdjustableClock& clock,
                                         const NodeConfig& config) {
    ASSIGN_OR_RETURN(consensus::Genesis genesis, config.genesis ? Result<consensus::Genesis>(*config.genesis)
                                                                : consensus::BuiltInGenesis(config.chain));
    if (config.mock_time_s) {
        if (config.chain != "regtest") return Fail("-mocktime works on regtest only");
        clock.SetMock(UnixMillis(seconds(*config.mock_time_s)));
    }
    std::optional<consensus::OperatorKeys> public_keys;
    if (config.regtest_staker) {
        if (config.chain != "regtest") return Fail("-staker=INDEX takes regtest's public keys: use it on regtest only");
        if (*config.regtest_staker >= genesis.stakers.size())
            return Fail("-staker=" + std::to_string(*config.regtest_staker) + ": regtest has stakers 0 to " +
                        std::to_string(genesis.stakers.size() - 1));
        if (!config.staker_keys.empty()) return Fail("give -staker or -stakerkeys, not both");
        public_keys = consensus::RegtestOperator(*config.regtest_staker);
    }
    return Open(environment, clock, config, std::move(genesis), std::move(public_keys));
}

Result<std::unique_ptr<Node>> Node::Open(const Environment& environment, AdjustableClock& clock,
                                         const NodeConfig& config, consensus::Genesis genesis,
                                         std::optional<consensus::OperatorKeys> public_keys) {
    const std::string folder = config.ChainDir();
    std::unique_ptr<Node> node(new Node(environment, clock, config, genesis.params));
    const Environment& env = node->m_environment;
    RETURN_IF_ERROR(env.files.CreateDirectories(folder + "/swarm"));
    ASSIGN_OR_RETURN(SecretBytes<32> node_key, LoadSecret(env, folder + "/node_key"));
    const BlockHash genesis_hash = node->m_genesis_hash = genesis.Hash();

    p2p::PeerManagerConfig peers;
    peers.network = {genesis.params.magic, genesis_hash};
    const p2p::NodeId node_id = crypto::X25519Public(node_key);
    peers.node_key = std::move(node_key);
    peers.user_agent = UserAgent();
    peers.services = p2p::services::kFullBlocks | p2p::services::kContent;
    peers.max_peers = config.max_peers;
    peers.max_upload = config.bandwidth.upload;
    peers.max_upload_per_peer = config.bandwidth.upload_per_peer;
    peers.max_providers = config.max_providers;
    peers.allow_local = config.ListensLocally();
    DiscoveryConfig discovery{peers.network,          folder,
                              config.max_providers,   config.find_providers && config.connect.empty(),
                              config.connect.empty(), peers.allow_local};
    node->m_network = std::make_unique<NetworkService>(env, std::move(peers), node->m_events);

    chain::ChainOptions options;
    options.cache_bytes = config.db_cache_bytes;
    options.runner = env.spend_runner;
    options.header_runner = env.header_runner;
    options.checkpoints = config.checkpoints;
    options.assume_valid = config.assume_valid;
    ASSIGN_OR_RETURN(auto chain, chain::ChainManager::Open(env.files, folder + "/chain", std::move(genesis), options));
    node->m_chain = std::make_unique<ChainService>(env, std::move(chain), *node->m_network, node->m_events,
                                                   [raw = node.get()](const Error& error) { raw->RequestStop(error); });
    node->m_network->SetChain(*node->m_chain, node->m_alive);
    ASSIGN_OR_RETURN(StakerKeys keys, OpenStakerKeys(env, config, std::move(public_keys)));
    ASSIGN_OR_RETURN(node->m_staking, Staking::Open(env, clock, *node->m_chain, std::move(keys), folder));
    node->m_evidence = std::make_unique<EvidenceAgent>(env.clock, *node->m_chain, *node->m_staking);
    ASSIGN_OR_RETURN(node->m_chunks,
                     content::ChunkStore::Open(env.files, folder + "/content", config.content_quota_bytes, &env.clock));
    ASSIGN_OR_RETURN(node->m_swarm_store, SwarmStore::Open(env.files, folder + "/swarm"));
    ASSIGN_OR_RETURN(node->m_wallet, WalletService::Open(env, *node->m_chain, node->m_events, folder + "/wallet"));
    const auto wallet = node->m_wallet->Get();
    node->m_has_wallet_seed = wallet.has_value();
    RETURN_IF_ERROR(node->TakeBackupSeeds());
    ASSIGN_OR_RETURN(KnownPayeeSeeds payee_seeds,
                     LoadPayeeSeeds(env, folder, genesis_hash, wallet ? *wallet : nullptr));
    node->m_loose_seeds = std::move(payee_seeds.loose);
    RETURN_IF_ERROR(node->KeepVoucherBackup());
    ASSIGN_OR_RETURN(node->m_old_payer_channels, node->m_swarm_store->PayerChannels());
    for (const auto& [outpoint, channel] : node->m_swarm_store->vouchers().channels())
        node->m_old_payee_channels.push_back(channel);
    node->m_wallet->SetOnFatal([raw = node.get()](const Error& error) { raw->RequestStop(error); });

    content::SwarmConfig swarm;
    swarm.params = node->m_params;
    swarm.genesis = genesis_hash;
    swarm.node_id = node_id;
    swarm.payee_seed = payee_seeds.all.newest().Clone();
    swarm.min_price_per_mib = config.min_price_per_mib;
    // More than a whole chunk below the queue's limit, so that it never refuses.
    swarm.max_queued_bytes = p2p::PeerManager::QueueLimitBytes(p2p::MessageClass::kChunks) * 5 / 8;
    swarm.sends_vouchers = !config.test_no_vouchers;
    node->m_swarm = std::make_unique<SwarmService>(env, *node->m_network, *node->m_chunks, *node->m_swarm_store,
                                                   std::move(swarm), node->m_events);
    node->m_swarm->SetDownloadSchedule(config.bandwidth.download);
    for (const auto& seed : node->m_loose_seeds) node->m_swarm->swarm().AddOlderPayeeSeed(seed.Clone());
    ASSIGN_OR_RETURN(SellerStore seller_store, SellerStore::Open(env.files, folder + "/seller", genesis_hash));
    node->m_sales =
        std::make_unique<SaleAgent>(env, *node->m_chain, *node->m_wallet, std::move(seller_store),
                                    SalePolicy{config.sells, config.grant_max_fee_percent, Amount(config.grant_fee_per_kvb)},
                                    node->m_events);
    node->m_payments = std::make_unique<PaymentAgent>(env, *node->m_chain, *node->m_wallet, *node->m_swarm,
                                                      std::move(payee_seeds.all), config.settle_idle, node->m_alive);
    node->m_job_tasks = std::make_unique<JobTasks>(env, node->m_jobs, node->m_alive);
    node->m_keys = std::make_unique<KeyRing>(*node->m_chain, *node->m_wallet, *node->m_chunks);
    node->m_gifts = std::make_unique<GiftAgent>(*node->m_chain, *node->m_wallet, node->m_events);
    node->m_frauds = std::make_unique<FraudReports>(*node->m_job_tasks, *node->m_chain, *node->m_wallet,
                                                    *node->m_chunks, folder + "/fraud");
    node->m_claims = std::make_unique<Claims>(*node->m_chain, *node->m_wallet, *node->m_keys);
    node->m_discovery =
        std::make_unique<Discovery>(env, *node->m_network, *node->m_claims, *node->m_chunks, std::move(discovery));
    RETURN_IF_ERROR(node->m_discovery->Load());
    node->m_publish_jobs =
        std::make_unique<PublishJobs>(*node->m_job_tasks, *node->m_chain, *node->m_wallet, *node->m_claims,
                                      *node->m_swarm, *node->m_chunks, node->m_events);
    const DefaultPrices prices{config.max_price_per_mib, config.seed_price_per_mib};
    node->m_desk = std::make_unique<DownloadDesk>(*node->m_swarm);
    node->m_streams = std::make_unique<Streams>(*node->m_job_tasks, *node->m_claims, *node->m_swarm, *node->m_desk,
                                                *node->m_chunks, prices);
    node->m_fetcher = std::make_unique<Fetcher>(*node->m_job_tasks, *node->m_swarm, *node->m_desk, *node->m_chunks,
                                                node->m_events);
    node->m_fetch_jobs =
        std::make_unique<FetchJobs>(*node->m_job_tasks, *node->m_claims, *node->m_swarm, *node->m_fetcher,
                                    *node->m_streams, *node->m_chunks, prices);
    node->m_content_jobs = std::make_unique<ContentJobs>(*node->m_job_tasks, *node->m_claims, *node->m_swarm,
                                                         *node->m_fetcher, *node->m_chunks, prices);
    node->m_fetch_jobs->SetOnFraud([raw = node.get()](std::shared_ptr<Claims::Openable> openable, auto then) {
        raw->m_frauds->Examine(std::move(openable), std::move(then));
    });
    node->m_keys->SetHooks(
        [raw = node.get()](const PublishRecord& record) { raw->m_fetch_jobs->FetchForWallet(record); },
        [raw = node.get()](const OutPoint& anchor, const crypto::SecretKey& key) {
            raw->m_frauds->ReportBundle(anchor, key);
        });
    node->m_bundles = std::make_unique<BundlePublisher>(*node->m_job_tasks, *node->m_chain, *node->m_wallet,
                                                        *node->m_claims, *node->m_swarm, *node->m_chunks);
    // The wallet first: the agents ask it.
    node->m_chain->AddListener(*node->m_wallet);
    node->m_chain->AddListener(*node->m_sales);
    node->m_chain->AddListener(*node->m_keys);
    node->m_chain->AddListener(*node->m_frauds);
    node->m_chain->AddListener(*node->m_gifts);
    node->m_chain->AddListener(*node->m_payments);
    node->m_chain->AddListener(*node->m_publish_jobs);
    node->m_chain->AddListener(*node->m_staking);
    node->m_chain->AddListener(*node->m_evidence);
    node->m_swarm->SetChannels(*node->m_payments);
    node->m_swarm->SetObserver(*node->m_desk);
    node->m_network->SetContent(*node->m_swarm);
    node->m_swarm->SetWatcher(*node->m_discovery);
    node->m_network->SetDiscovery(*node->m_discovery);
    return node;
}

Status Node::Listen() {
    p2p::PeerManager& peers = m_network->peers();
    if (m_config.listen) {
        const uint16_t port = m_config.port.value_or(m_params.p2p_port);
        std::vector<std::string> bind = m_config.bind;
        if (bind.empty()) bind.push_back(m_params.network == "regtest" ? "127.0.0.1" : "0.0.0.0");
        for (const std::string& address : bind) {
            ASSIGN_OR_RETURN(const p2p::Endpoint endpoint, p2p::ParseEndpoint(address, port, "-bind"));
            ASSIGN_OR_RETURN(const p2p::Endpoint bound, peers.Listen(endpoint));
            m_listening_port = bound.port;
        }
    }
    std::vector<std::string> nodes = m_config.connect;
    nodes.insert(nodes.end(), m_config.add_nodes.begin(), m_config.add_nodes.end());
    peers.SetAutomaticOutbound(m_config.connect.empty());
    for (const std::string& text : nodes) {
        ASSIGN_OR_RETURN(const p2p::Endpoint endpoint, p2p::ParseEndpoint(text, m_params.p2p_port, "-addnode"));
        peers.AddNode(endpoint);
    }
    for (const std::string& text : m_config.seed_nodes) {
        ASSIGN_OR_RETURN(const p2p::Endpoint endpoint, p2p::ParseEndpoint(text, m_params.p2p_port, "-seednode"));
        peers.AddSeed(endpoint);
    }
    return {};
}

Status Node::Start() {
    RETURN_IF_ERROR(CallNetwork([this] { return StartNetwork(); }));
    return CallChain([this] { return StartChain(); });
}

Status Node::StartNetwork() {
    // The chain's own tasks begin with StartChain, but a peer's may run at once: the tip is asked for before there is
    // one.
    const Height tip = m_chain->chain().tip()->height();
    m_network->peers().SetBestHeight(tip);
    RETURN_IF_ERROR(Listen());
    m_network->Start(m_alive);
    m_discovery->Start(m_alive, m_listening_port);
    return m_swarm->Start(m_alive, tip);
}

Status Node::StartChain() {
    OnWalletReady();
    TickChain();
    m_content_jobs->Start();
    m_staking->Start(m_alive);
    return {};
}

void Node::OnWalletReady() {
    UseWalletSeed();
    m_payments->Resume(m_old_payer_channels, m_old_payee_channels);
    m_sales->Rescan();
    m_frauds->Resume();
    m_keys->Refresh();
    m_gifts->Run();
}

void Node::TickChain() {
    m_chain->Tick();
    m_evidence->Tick();
    m_environment.chain_strand.PostAfter(kChainTick, [this, alive = m_alive] {
        if (*alive) TickChain();
    });
}

void Node::RequestStop(std::optional<Error> why) {
    if (m_stopping.exchange(true)) return;
    m_events.Close();
    if (m_on_stop) m_on_stop(std::move(why));
}

void Node::Shutdown() {
    m_stopping = true;
    *m_alive = false;
    m_events.Close();
}

Result<SettleOutcome> Node::SettleAll() {
    ASSIGN_OR_RETURN(const Amount rate, CallChain([&]() -> Result<Amount> { return m_payments->FeePerKvb(); }));
    ASSIGN_OR_RETURN(const auto channels, CallNetwork([&]() -> Result<std::vector<content::PayeeChannel>> {
                         for (const content::PayeeChannel& channel : m_swarm->PayeeChannels())
                             if (content::WorthSettling(m_params, channel, rate))
                                 m_swarm->CloseForSettling(channel.lock.outpoint);
                         return m_swarm->PayeeChannels();
                     }));
    auto settled = CallChain([&] { return m_payments->Settle(channels); });
    if (!settled && settled.error().kind == ErrorKind::kFunds) return SettleOutcome{};
    return settled;
}

}  // namespace sluice::node
