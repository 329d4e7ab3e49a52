// The app comes first: less processor time and disk time for the calling thread than for it. Not for a thread
// whose locks make the app wait.
#pragma once

namespace litepull {

void yield_to_the_app();

}  // namespace litepull
