// Gives the calling thread less processor time and disk time than the app has. Not for a thread whose locks
// make the app wait.
#pragma once

namespace litepull {

void yield_to_the_app();

}  // namespace litepull
