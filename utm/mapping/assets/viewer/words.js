// Every word on the page, in English and Japanese.

const WORDS = {
  en: {
    layers: "Layers", show: "Show", all: "Ground and everything on it", groundOnly: "Ground only",
    colour: "Colour by", natural: "Relief", height: "Height", above: "Height above ground", age: "Survey date",
    source: "Source", known: "What is known", exaggerate: "Heights ×", unseen: "Blocks over unseen ground",
    hanging: "Wires and bridges (air below)", contours: "Contour lines", low: "Building or object", woods: "Woods (by texture)",
    aboveGround: "above ground", undated: "Date not known", assumed: "Assumed", seenCloud: "Seen: point cloud",
    seenRaster: "Seen: surface model", entered: "Entered: model or vector", filtered: "Ground found by a filter",
    groundAssumed: "Ground assumed", unseenGround: "Not surveyed: blocked", suspect: "Suspect: blocked until cleared",
    seenAir: "Wire, jib, bridge: seen", suspectAir: "Suspect return", enteredAir: "Entered: model, power line",
    ground: "Ground", top: "Top", unknownTop: "Blocked up to (assumed)", surveyed: "Surveyed", dateUnknown: "survey date not known",
    version: "Version", hint: "Drag to turn, right-drag or two fingers to move, wheel or pinch to zoom",
    cells: "cells of {n} m", drawn: "drawn {n} m", north: "Face north", noWebgl: "This browser shows no 3-D (WebGL 2 is off).",
    broken: "The page is damaged, or this browser is too old to unpack it.", airBelow: "Air below", to: "to", other: "日本語",
    home: "Whole map", contourEvery: "Contour every {n} m", heightsIn: "heights",
  },
  ja: {
    layers: "表示設定", show: "表示", all: "地面と地物", groundOnly: "地面のみ",
    colour: "色分け", natural: "地形", height: "標高", above: "地上高", age: "測量日",
    source: "データ元", known: "把握状況", exaggerate: "高さ ×", unseen: "未測量部分の立体",
    hanging: "電線・橋（下が空間）", contours: "等高線", low: "建物・工作物", woods: "樹林（形状から推定）",
    aboveGround: "地上高", undated: "測量日不明", assumed: "仮定", seenCloud: "点群で確認",
    seenRaster: "表層モデルで確認", entered: "入力（モデル・ベクタ）", filtered: "地面はフィルタによる推定",
    groundAssumed: "地面は仮定", unseenGround: "未測量：飛行不可", suspect: "疑義あり：確認まで飛行不可",
    seenAir: "電線・アーム・橋：確認", suspectAir: "疑わしい点", enteredAir: "入力（モデル・送電線）",
    ground: "地面", top: "最高点", unknownTop: "飛行不可の上端（仮定）", surveyed: "測量", dateUnknown: "測量日不明",
    version: "版", hint: "ドラッグで回転、右ドラッグ・二本指で移動、ホイール・ピンチで拡大縮小",
    cells: "格子 {n} m", drawn: "描画 {n} m", north: "北を上に", noWebgl: "このブラウザでは3D（WebGL 2）を表示できません。",
    broken: "ページが壊れているか、ブラウザが古いため展開できません。", airBelow: "下は空間", to: "〜", other: "English",
    home: "全体表示", contourEvery: "等高線 {n} m 間隔", heightsIn: "高さ",
  },
};

let language = "en";

export const say = (word, n) => (WORDS[language][word] ?? WORDS.en[word] ?? word).replace("{n}", n);

export function speak(wanted) {
  language = wanted in WORDS ? wanted : "en";
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-tip]")) element.title = say(element.dataset.tip);
}

export const spoken = () => language;
