#include "node/staker_keys.h"

namespace sluice::node {

StakerKeys StakerKeys::FromPublic(consensus::OperatorKeys keys) {
    StakerKeys result;
    result.m_staker = keys.staker;
    result.Use({keys.staker, std::move(keys.vrf), std::move(keys.signing)});
    return result;
}

Result<StakerKeys> StakerKeys::Open(storage::FileSystem& files, std::string path, const IsPrivateFile& is_private) {
    StakerKeys result;
    result.m_files = &files;
    result.m_path = std::move(path);
    if (!files.Exists(result.m_path)) return result;
    ASSIGN_OR_RETURN(OperatorKeyFile current, ReadOperatorKeys(files, result.m_path, is_private));
    result.m_staker = current.staker;
    result.Use(std::move(current));
    if (!files.Exists(result.NextPath())) return result;
    ASSIGN_OR_RETURN(OperatorKeyFile next, ReadOperatorKeys(files, result.NextPath(), is_private));
    if (next.VrfPublic() == result.Current()->vrf_key) return result;  // promoted already: a crash left the name
    result.Use(std::move(next));
    return result;
}

void StakerKeys::Use(OperatorKeyFile file) {
    const Public shown{file.VrfPublic(), file.SigningPublic()};
    m_sets.push_back({std::move(file), shown});
    Refresh();
}

void StakerKeys::Refresh() {
    m_producing.clear();
    if (!m_staker) return;
    for (const Set& set : m_sets) m_producing.push_back({*m_staker, set.file.vrf.Clone(), set.file.signing.Clone()});
}

std::optional<StakerKeys::Public> StakerKeys::Current() const {
    if (m_sets.empty()) return std::nullopt;
    return m_sets[0].shown;
}

std::optional<StakerKeys::Public> StakerKeys::Next() const {
    if (m_sets.size() < 2) return std::nullopt;
    return m_sets[1].shown;
}

Status StakerKeys::Make(RandomSource& random) {
    if (!m_files) return Fail("these keys are regtest's public ones: start without -staker to use your own");
    if (HaveKeys()) return Fail("the keys in " + m_path + " are there already");
    OperatorKeyFile file = MakeOperatorKeys(random);
    RETURN_IF_ERROR(WriteOperatorKeys(*m_files, m_path, file));
    Use(std::move(file));
    return {};
}

Status StakerKeys::MakeNext(RandomSource& random) {
    if (!m_files) return Fail("these keys are regtest's public ones and cannot be replaced");
    if (!HaveKeys()) return Fail("there are no keys to replace: make some with 'sluice-cli staker keys'");
    if (Next()) return {};
    OperatorKeyFile file = MakeOperatorKeys(random);
    file.staker = m_staker;
    RETURN_IF_ERROR(WriteOperatorKeys(*m_files, NextPath(), file, ExistingFile::kReplace));
    Use(std::move(file));
    return {};
}

Status StakerKeys::SetStaker(const StakerId& staker) {
    if (m_staker == staker) return {};
    if (m_staker) return Fail("the keys belong to staker " + m_staker->Hex() + " already");
    CHECK(!m_sets.empty());
    m_sets[0].file.staker = staker;
    RETURN_IF_ERROR(WriteOperatorKeys(*m_files, m_path, m_sets[0].file, ExistingFile::kReplace));
    m_staker = staker;
    Refresh();
    return {};
}

Status StakerKeys::Promote() {
    CHECK(m_sets.size() == 2);
    RETURN_IF_ERROR(m_files->Rename(NextPath(), m_path));
    m_sets.erase(m_sets.begin());
    Refresh();
    return {};
}

}  // namespace sluice::node
