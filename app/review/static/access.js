// The key, where the service asks for one, and whether it answers at all.

import { key, models } from "./api.js";
import { byId, say } from "./dom.js";
import { Fleet } from "./fleet.js";

const NOTE = "Kept in this tab alone, and gone when it is closed.";

export class Access {
  #arrived;

  /** `arrived` gets the fleet whenever the service has said what is deployed. */
  constructor({ arrived }) {
    this.#arrived = arrived;
    byId("key").addEventListener("click", () => this.ask());
    byId("service").addEventListener("click", () => this.look());
    byId("key-forget").addEventListener("click", () => this.#use(""));
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use(byId("key-text").value.trim());
    });
  }

  /** Find out what is deployed. */
  async look() {
    this.#say("asking", "asking");
    try {
      const fleet = new Fleet(await models());
      this.#say("ready", `${fleet.models.length === 1 ? "1 model" : `${fleet.models.length} models`} ready`);
      this.#arrived(fleet);
    } catch (refused) {
      this.refused(refused);
      if (refused.status !== 401) this.#say("down", "no answer; look again");
    }
  }

  /** What a refusal says about the key. */
  refused({ status, message }) {
    if (status !== 401) return;
    this.#say("locked", "needs a key");
    this.ask(message);
  }

  ask(why = NOTE) {
    say(byId("key-why"), why === NOTE ? NOTE : `${why}. ${NOTE}`);
    if (!byId("key-dialog").open) byId("key-dialog").showModal();
    byId("key-text").focus();
  }

  #use(text) {
    key.set(text);
    byId("key-text").value = "";
    byId("key-dialog").close();
    this.look();
  }

  #say(state, text) {
    byId("service").dataset.state = state;
    say(byId("service"), text);
  }
}
