// The page: its parts, bound to one session.

import { Access } from "./access.js";
import { Composer } from "./composer.js";
import { byId } from "./dom.js";
import { Elsewhere } from "./elsewhere.js";
import { Facts } from "./facts.js";
import { Fleet } from "./fleet.js";
import { Foot } from "./foot.js";
import { History } from "./history.js";
import { bindKeys } from "./keys.js";
import { Panels } from "./panels.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { Tabs } from "./tabs.js";

const nothing = new Fleet();
const session = new Session();
const composer = new Composer(session, nothing);
const stage = new Stage(session);
const tabs = new Tabs(session);
new Foot(session, { again });
const panels = new Panels(session, nothing, {
  deadline: () => composer.deadline,
  failed: (refused) => access.refused(refused),
});
const access = new Access({
  arrived: (fleet) => {
    composer.fill(fleet);
    panels.fill(fleet);
  },
});
new Facts(session, { useSeed: (seed) => composer.useSeed(seed), reveal: (picture) => session.pick(picture) });
new Elsewhere(session);
new History(session, { recall: (call) => composer.recall(call) });
bindKeys({ session, composer, stage, tabs });
session.addEventListener("settled", ({ detail: call }) => settled(call));
access.look();

function again() {
  const { kind, body, parent, expected } = session.shown;
  session.ask(kind, body, { parent, expected });
}

/** What follows the end of a call: the key is asked for, or the eye is led to the pictures. */
function settled(call) {
  if (call.error) access.refused(call.error);
  if (call.status !== "done" || call !== session.shown) return;
  const at = document.activeElement;
  const beside = at.closest(".panel") !== null;
  if (call.kind !== "make") tabs.show("facts", { focus: beside || at === document.body ? "tab-facts" : null });
  else if ([document.body, byId("make"), byId("variations")].includes(at)) stage.focus();
}
