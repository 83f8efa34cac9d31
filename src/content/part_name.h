#pragma once

namespace sluice::content {

// What is written under its name and this, and has its name only once it is whole. Nobody else ends names so: what is
// found there is the rest of an interrupted run, and replaced. A `film.part` beside it is somebody's, and stays.
inline constexpr const char* kPartSuffix = ".sluice-part";

}  // namespace sluice::content
