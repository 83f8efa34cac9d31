#include "storage/memory_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <sstream>

#include "storage/system_error.h"

namespace sluice::storage {

MemoryTree::MemoryTree(std::shared_ptr<MemoryFaults> faults) : m_faults(std::move(faults)) {
    m_live[""] = m_durable[""] = std::make_shared<Inode>();
}

std::string MemoryTree::Normalize(const std::string& path) {
    std::string normalized;
    std::istringstream parts(path);
    for (std::string part; std::getline(parts, part, '/');) {
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            normalized = normalized.empty() ? "" : Parent(normalized);
        } else {
            normalized += "/" + part;
        }
    }
    return normalized;
}

void MemoryTree::ForEachChild(
    const Names& names, const std::string& folder,
    const std::function<void(const std::string& path, const std::shared_ptr<Inode>& inode)>& visit) {
    const std::string prefix = folder + "/";
    for (auto at = names.lower_bound(prefix); at != names.end() && at->first.starts_with(prefix);) {
        if (const size_t slash = at->first.find('/', prefix.size()); slash != std::string::npos) {
            at = names.lower_bound(at->first.substr(0, slash) + char('/' + 1));  // past what lies deeper
            continue;
        }
        visit(at->first, at->second);
        ++at;
    }
}

void MemoryTree::EraseWithDescendants(Names& names, const std::string& path) {
    names.erase(path);
    names.erase(names.lower_bound(path + "/"), names.lower_bound(path + char('/' + 1)));
}

DirectoryEntry MemoryTree::EntryOf(const std::string& path, const Inode& inode) {
    std::string name = path.empty() ? "/" : path.substr(path.rfind('/') + 1);
    if (inode.IsFolder()) return {std::move(name), DirectoryEntry::Kind::kDirectory, 0};
    return {std::move(name), DirectoryEntry::Kind::kFile, inode.file->current().size()};
}

MemoryTree::Inode* MemoryTree::Find(const std::string& normalized) const {
    const auto found = m_live.find(normalized);
    return found == m_live.end() ? nullptr : found->second.get();
}

int MemoryTree::ParentError(const std::string& normalized) const {
    const Inode* parent = Find(Parent(normalized));
    return !parent ? ENOENT : parent->IsFolder() ? 0 : ENOTDIR;
}

bool MemoryTree::HasChildren(const std::string& folder) const {
    const std::string prefix = folder + "/";
    const auto at = m_live.lower_bound(prefix);
    return at != m_live.end() && at->first.starts_with(prefix);
}

Result<std::unique_ptr<File>> MemoryTree::Open(const std::string& path, OpenMode mode) {
    const std::string name = Normalize(path);
    const bool must_exist = mode == OpenMode::kRead || mode == OpenMode::kReadWrite;
    const Inode* inode = Find(name);
    if (inode && mode == OpenMode::kCreateNew) return Fail(SystemError("create", path, EEXIST));
    if (inode && inode->IsFolder()) {
        return Fail(ErrorKind::kEnvironment,
                    fmt::format("cannot open {}: it is a directory: choose a regular file", path));
    }
    if (!inode) {
        if (must_exist) return Fail(MissingOrSystemError("open", path, ENOENT));
        if (const int code = ParentError(name)) return Fail(SystemError("create", path, code));
        auto created = std::make_shared<Inode>();
        created->file = std::make_shared<MemoryFileContent>(*m_faults);
        RETURN_IF_ERROR(m_faults->BeginWrite(path, [this, name, created] { m_live[name] = created; }));
        inode = created.get();
        m_live[name] = std::move(created);
    }
    const bool writable = mode != OpenMode::kRead;
    auto sync_name = [tree = weak_from_this(), folder = Parent(name)] {
        if (const auto alive = tree.lock()) alive->SyncFolder(folder);
    };
    return MakeMemoryFile(path, m_faults, inode->file, writable, std::move(sync_name));
}

Status MemoryTree::CreateDirectory(const std::string& normalized) {
    auto inode = std::make_shared<Inode>();
    RETURN_IF_ERROR(m_faults->BeginWrite(normalized, [this, normalized, inode] { m_live[normalized] = inode; }));
    m_live[normalized] = std::move(inode);
    SyncFolder(Parent(normalized));
    return {};
}

Status MemoryTree::CreateDirectories(const std::string& path) {
    const std::string name = Normalize(path);
    for (size_t end = 0; end != name.size();) {
        end = std::min(name.find('/', end + 1), name.size());
        const std::string part = name.substr(0, end);
        const Inode* inode = Find(part);
        if (!inode) {
            RETURN_IF_ERROR(CreateDirectory(part));
        } else if (!inode->IsFolder()) {
            return Fail(ErrorKind::kEnvironment,
                        fmt::format("cannot create the folder {}: a file of that name is in the way", path));
        }
    }
    return {};
}

Result<std::vector<DirectoryEntry>> MemoryTree::List(const std::string& path) const {
    const std::string name = Normalize(path);
    const Inode* inode = Find(name);
    if (!inode || !inode->IsFolder())
        return Fail(MissingOrSystemError("list the folder", path, inode ? ENOTDIR : ENOENT));
    std::vector<DirectoryEntry> entries;
    ForEachChild(m_live, name, [&](const std::string& child, const auto& child_inode) {
        entries.push_back(EntryOf(child, *child_inode));
    });
    return entries;
}

Result<DirectoryEntry> MemoryTree::Stat(const std::string& path) const {
    const std::string name = Normalize(path);
    const Inode* inode = Find(name);
    if (!inode) return Fail(MissingOrSystemError("stat", path, ENOENT));
    return EntryOf(name, *inode);
}

bool MemoryTree::Exists(const std::string& path) const { return Find(Normalize(path)) != nullptr; }

int MemoryTree::RenameError(const std::string& from, const std::string& to) const {
    const Inode* source = Find(from);
    const Inode* target = Find(to);
    if (!source) return ENOENT;
    if (from.empty() || to.empty()) return EBUSY;
    if (const int code = ParentError(to)) return code;
    if (to.starts_with(from + "/")) return EINVAL;
    if (!target || target == source) return 0;
    if (source->IsFolder() && !target->IsFolder()) return ENOTDIR;
    if (!source->IsFolder() && target->IsFolder()) return EISDIR;
    return target->IsFolder() && (target->store || HasChildren(to)) ? ENOTEMPTY : 0;
}

void MemoryTree::RenameNow(const std::string& from, const std::string& to) {
    if (from == to) return;
    for (Names* names : {&m_live, &m_durable}) {
        // Below a folder, what power loss would leave moves along with it.
        Names moved;
        const std::string prefix = from + "/";
        for (auto at = names->lower_bound(prefix); at != names->end() && at->first.starts_with(prefix); ++at) {
            moved[to + at->first.substr(from.size())] = at->second;
        }
        if (names == &m_live) moved[to] = m_live.at(from);
        EraseWithDescendants(*names, from);
        EraseWithDescendants(*names, to);
        names->merge(moved);
    }
    SyncFolder(Parent(to));
    SyncFolder(Parent(from));
}

Status MemoryTree::Rename(const std::string& from, const std::string& to) {
    const std::string source = Normalize(from);
    const std::string target = Normalize(to);
    if (const int code = RenameError(source, target)) {
        Error error = SystemError("rename " + from + " to", to, code);
        if (!Find(source)) error.kind = ErrorKind::kNotFound;
        return Fail(std::move(error));
    }
    RETURN_IF_ERROR(m_faults->BeginWrite(from, [this, source, target] { RenameNow(source, target); }));
    RenameNow(source, target);
    return {};
}

Status MemoryTree::Remove(const std::string& path) {
    const std::string name = Normalize(path);
    const Inode* inode = Find(name);
    if (!inode) return Fail(MissingOrSystemError("remove", path, ENOENT));
    if (name.empty()) return Fail(SystemError("remove", path, EBUSY));
    const bool in_use = inode->store && !inode->store->opened.expired();
    if (inode->IsFolder() && (in_use || HasChildren(name))) return Fail(SystemError("remove", path, ENOTEMPTY));
    RETURN_IF_ERROR(m_faults->BeginWrite(path, [this, name] { m_live.erase(name); }));
    m_live.erase(name);
    return {};
}

Result<uint64_t> MemoryTree::FreeBytes(const std::string& path) const {
    if (!Exists(path)) return Fail(MissingOrSystemError("ask for the free space of", path, ENOENT));
    return m_faults->FreeBytes();
}

Result<std::unique_ptr<KeyValueStore>> MemoryTree::OpenKeyValue(const std::string& path, size_t /*cache_bytes*/) {
    RETURN_IF_ERROR(CreateDirectories(path));
    Inode* inode = Find(Normalize(path));
    if (!inode->store) {
        RETURN_IF_ERROR(m_faults->BeginWrite(path, [] {}));
        inode->store = std::make_shared<MemoryKeyValueContent>(*m_faults);
    }
    if (!inode->store->opened.expired()) {
        return Fail(
            ErrorKind::kUnavailable,
            fmt::format("database {} is open elsewhere: stop the other process or choose another folder", path));
    }
    return MakeMemoryKeyValue(path, m_faults, inode->store);
}

void MemoryTree::SyncFolder(const std::string& folder) {
    std::vector<std::string> removed;
    ForEachChild(m_durable, folder, [&](const std::string& path, const std::shared_ptr<Inode>& inode) {
        const auto live = m_live.find(path);
        if (live == m_live.end() || live->second != inode) removed.push_back(path);
    });
    for (const std::string& path : removed) EraseWithDescendants(m_durable, path);
    ForEachChild(m_live, folder,
                 [&](const std::string& path, const std::shared_ptr<Inode>& inode) { m_durable[path] = inode; });
}

MemoryTree::Names MemoryTree::SettleNames() {
    std::set<std::string> paths;
    for (const Names* names : {&m_live, &m_durable}) {
        for (const auto& [path, inode] : *names) paths.insert(path);
    }
    Names settled;
    for (const std::string& path : paths) {
        const auto live = m_live.find(path);
        const auto durable = m_durable.find(path);
        const bool same = live != m_live.end() && durable != m_durable.end() && live->second == durable->second;
        const bool keep_live = same || m_faults->random().Below(2) == 1;
        const auto& kept = keep_live ? live : durable;
        if (kept == (keep_live ? m_live.end() : m_durable.end())) continue;
        settled[path] = kept->second;
    }
    // A name lives on only inside its folder.
    for (auto at = settled.begin(); at != settled.end();) {
        const auto parent = settled.find(Parent(at->first));
        const bool has_folder = at->first.empty() || (parent != settled.end() && parent->second->IsFolder());
        at = has_folder ? std::next(at) : settled.erase(at);
    }
    return settled;
}

void MemoryTree::Crash() {
    m_faults->PowerLoss();
    Names settled = SettleNames();
    for (const auto& [path, inode] : settled) {
        if (inode->file) inode->file->Crash(m_faults->random());
        if (inode->store) inode->store->Crash(m_faults->random());
    }
    m_durable = settled;
    m_live = std::move(settled);
    m_faults->Restore();
}

}  // namespace sluice::storage
